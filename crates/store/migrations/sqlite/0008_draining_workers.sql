-- Workers that drain get nothing more, and those that were killed are nobody's: servers that know only the tables before
-- would go on serving both, and refuse to start. Besides, what came of a worker's runs, in numbers.

alter table worker add column draining integer not null default 0 check (draining in (0, 1));

alter table worker add column killed integer not null default 0 check (killed in (0, 1));

alter table worker add column completed integer not null default 0;

alter table worker add column failed integer not null default 0;
