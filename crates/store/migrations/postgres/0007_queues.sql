-- Queues that are paused, or that have defaults of their own. Servers that know only the tables before would go on giving
-- out what is paused, and refuse to start.

create table queue (
  name text collate "C" not null primary key,
  paused boolean not null,
  max_attempts int,
  timeout bigint,
  backoff bigint,
  backoff_factor float8,
  backoff_max bigint,
  backoff_jitter float8,
  check ((backoff is null) = (backoff_factor is null)),
  check ((backoff is null) = (backoff_max is null)),
  check ((backoff is null) = (backoff_jitter is null))
);

create index queue_paused on queue (name) where paused;
