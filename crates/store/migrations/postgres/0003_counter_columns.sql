-- A lane's counts stand in one row, a column each, so that a task that goes from one status to another changes one row
-- in place of two. Servers that know only the tables before cannot go on beside this, and refuse to start on it.

alter table counter rename constraint counter_pkey to counter_by_status_pkey;
alter table counter rename to counter_by_status;

create table counter (
  server integer not null,
  lane integer not null,
  scheduled bigint not null default 0,
  pending bigint not null default 0,
  assigned bigint not null default 0,
  running bigint not null default 0,
  completed bigint not null default 0,
  failed bigint not null default 0,
  timeout bigint not null default 0,
  cancelled bigint not null default 0,
  primary key (server, lane)
) with (
  fillfactor = 10,
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 20000,
  autovacuum_vacuum_cost_delay = 0
);

insert into counter
select
  server,
  lane,
  sum(case status when 1 then n else 0 end),
  sum(case status when 2 then n else 0 end),
  sum(case status when 3 then n else 0 end),
  sum(case status when 4 then n else 0 end),
  sum(case status when 5 then n else 0 end),
  sum(case status when 6 then n else 0 end),
  sum(case status when 7 then n else 0 end),
  sum(case status when 8 then n else 0 end)
from counter_by_status
group by server, lane;

drop table counter_by_status;
