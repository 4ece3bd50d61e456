-- Acts on every task that a filter lets through. Servers that know only the tables before leave them to the others.

create table operation (
  id blob not null primary key,
  act integer not null check (act in (1, 2)),
  filter text not null,
  cursor blob,
  done integer not null,
  skipped integer not null,
  created_at integer not null,
  ended_at integer,
  cancelled integer not null check (cancelled in (0, 1)),
  check (ended_at is not null or not cancelled)
) strict, without rowid;

create index operation_open on operation (id) where ended_at is null;
create index operation_by_end on operation (ended_at) where ended_at is not null;
