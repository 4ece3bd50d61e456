-- A database that is emptied gives no number and no epoch of a worker again up to this one, so that no process of before
-- is taken for another. Servers that know only the tables before give them again, as in a new database.

alter table meta add column given_before integer not null default 0;
