-- Workers that are forgotten stand in no list; lists and counts go by the index, which holds the others.

alter table worker add column forgotten boolean not null default false;

create index worker_remembered on worker (name) where not forgotten;
