-- Workers that drain get nothing more, which servers that know only the tables before would go on giving them: they refuse
-- to start. Besides, what came of a worker's runs, in numbers.

alter table worker add column draining boolean not null default false;

alter table worker add column completed bigint not null default 0;

alter table worker add column failed bigint not null default 0;
