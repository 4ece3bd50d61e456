-- Workers that are forgotten stand in no list; lists and counts go by the index, which holds the others.

alter table worker add column forgotten integer not null default 0 check (forgotten in (0, 1));

create index worker_remembered on worker (name) where not forgotten;
