-- What each server did in each minute of the last hour, by lane; lane 0 stands for all that are not told apart. `waits` and
-- `runs` are buckets of durations, each a byte for its number and how many it holds in groups of seven bits. Servers that
-- know only the tables before write nothing here, and what they do is missing in the rates.

-- Rows of the minute under way change each second, in their places.
create table minute (
  server integer not null,
  minute bigint not null,
  lane integer not null check (lane >= 0),
  submitted bigint not null,
  started bigint not null,
  completed bigint not null,
  failed bigint not null,
  timeout bigint not null,
  cancelled bigint not null,
  retried bigint not null,
  waits bytea not null,
  runs bytea not null,
  primary key (minute, server, lane)
) with (
  fillfactor = 40,
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 5000
);
