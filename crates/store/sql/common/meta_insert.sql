-- A new database, with its incarnation.
insert into meta (only_row, schema, min_compatible, incarnation)
values (1, $1, $2, $3)
