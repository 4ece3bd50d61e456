-- Workers that drain get nothing more, which servers that know only the tables before would go on giving them: they refuse
-- to start. Besides, what came of a worker's runs, in numbers.

alter table worker add column draining integer not null default 0 check (draining in (0, 1));

alter table worker add column completed integer not null default 0;

alter table worker add column failed integer not null default 0;
