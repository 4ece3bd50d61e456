-- The older form in which a task was submitted, by its number: 1 is that of our own routes, 2 simple, 3 taskmaster. Servers
-- that know only the tables before leave it empty, and show such tasks as their own.

alter table task add column origin smallint;
