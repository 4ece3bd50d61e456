-- Queues that are paused, or that have defaults of their own. Servers that know only the tables before would go on giving
-- out what is paused, and refuse to start.

create table queue (
  name text not null primary key,
  paused integer not null check (paused in (0, 1)),
  max_attempts integer,
  timeout integer,
  backoff integer,
  backoff_factor real,
  backoff_max integer,
  backoff_jitter real,
  check ((backoff is null) = (backoff_factor is null)),
  check ((backoff is null) = (backoff_max is null)),
  check ((backoff is null) = (backoff_jitter is null))
) strict, without rowid;

create index queue_paused on queue (name) where paused;
