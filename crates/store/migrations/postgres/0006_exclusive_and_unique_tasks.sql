-- Tasks that never run twice at once, that stand once in their queue, and that are another one run again. Servers that
-- know only the tables before would give the first away too early and let the second in twice, and refuse to start.

alter table task add column exclusive boolean not null default false;
alter table task add column unique_key text;
alter table task add column retry_of uuid;

alter table lease add column exclusive boolean not null default false;

-- Which task has a key; it has it as long as it has not ended.
create table unique_key (
  queue text collate "C" not null,
  key text collate "C" not null,
  task uuid not null,
  primary key (queue, key)
);

create index unique_key_by_task on unique_key (task);
