-- Workers that drain get nothing more, and those that were killed are nobody's: servers that know only the tables before
-- would go on serving both, and refuse to start. Besides, what came of a worker's runs, in numbers.

alter table worker add column draining boolean not null default false;

alter table worker add column killed boolean not null default false;

alter table worker add column completed bigint not null default 0;

alter table worker add column failed bigint not null default 0;
