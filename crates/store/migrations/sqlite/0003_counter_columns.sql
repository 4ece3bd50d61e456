-- A lane's counts stand in one row, a column each, so that a task that goes from one status to another changes one row
-- in place of two. Servers that know only the tables before cannot go on beside this, and refuse to start on it.

alter table counter rename to counter_by_status;

create table counter (
  server integer not null,
  lane integer not null,
  scheduled integer not null default 0,
  pending integer not null default 0,
  assigned integer not null default 0,
  running integer not null default 0,
  completed integer not null default 0,
  failed integer not null default 0,
  timeout integer not null default 0,
  cancelled integer not null default 0,
  primary key (server, lane)
) strict, without rowid;

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
