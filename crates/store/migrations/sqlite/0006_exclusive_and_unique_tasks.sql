-- Tasks that never run twice at once, that stand once in their queue, and that are another one run again. Servers that
-- know only the tables before would give the first away too early and let the second in twice, and refuse to start.

alter table task add column exclusive integer not null default 0 check (exclusive in (0, 1));
alter table task add column unique_key text;
alter table task add column retry_of blob;

alter table lease add column exclusive integer not null default 0 check (exclusive in (0, 1));

-- Which task has a key; it has it as long as it has not ended.
create table unique_key (
  queue text not null,
  key text not null,
  task blob not null,
  primary key (queue, key)
) strict, without rowid;

create index unique_key_by_task on unique_key (task);
