-- What each server did in each minute of the last hour, by lane; lane 0 stands for all that are not told apart. `waits` and
-- `runs` are buckets of durations, each a byte for its number and how many it holds in groups of seven bits. Servers that
-- know only the tables before write nothing here, and what they do is missing in the rates.

create table minute (
  server integer not null,
  minute integer not null,
  lane integer not null check (lane >= 0),
  submitted integer not null,
  started integer not null,
  completed integer not null,
  failed integer not null,
  timeout integer not null,
  cancelled integer not null,
  retried integer not null,
  waits blob not null,
  runs blob not null,
  primary key (minute, server, lane)
) strict, without rowid;
