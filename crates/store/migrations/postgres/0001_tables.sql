-- Times and durations are microseconds; JSON is text exactly as it was received. Names sort by their bytes, whatever
-- the database's own order. Numbers in `check`s are the codes that both stores write.
--
-- `ready`, `lease` and `counter` turn over all the time: they are vacuumed by the count of dead rows, however large
-- the tables, or claims would grow slower between two vacuums.

create table meta (
  only_row integer not null primary key check (only_row = 1),
  schema integer not null,
  min_compatible integer not null,
  incarnation uuid not null
);

create table server (
  number integer not null primary key,
  started_at bigint not null,
  expires_at bigint not null
);

create table worker (
  name text collate "C" not null primary key,
  number integer not null unique,
  epoch integer not null,
  server integer,
  kinds text,
  queues text,
  labels text not null,
  capacity integer not null,
  registered_at bigint not null,
  expires_at bigint not null,
  kept_task uuid,
  kept_slot smallint,
  check ((kept_task is null) = (kept_slot is null))
);

create table lane (
  number integer not null primary key check (number > 0),
  queue text collate "C" not null,
  kind text collate "C" not null,
  demands text collate "C" not null,
  unique (queue, kind, demands)
);

create table task (
  id uuid not null primary key,
  lane integer not null,
  order_key bigint not null,
  priority smallint not null,
  run_at bigint not null,
  created_at bigint not null,
  max_attempts integer not null,
  max_losses integer not null,
  timeout bigint not null,
  backoff bigint not null,
  backoff_factor double precision not null,
  backoff_max bigint not null,
  backoff_jitter double precision not null,
  labels text not null,
  digest bytea,
  input_len bigint not null,
  input text not null
);

create index task_by_lane on task (lane, id);

create table scheduled (
  run_at bigint not null,
  task uuid not null,
  slot smallint not null,
  lane integer not null,
  order_key bigint not null,
  why smallint not null check (why between 1 and 3),
  has_carry boolean not null,
  primary key (run_at, task, slot)
);

create table ready (
  lane integer not null,
  order_key bigint not null,
  task uuid not null,
  slot smallint not null,
  has_carry boolean not null,
  primary key (lane, order_key, task, slot)
) with (
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 20000,
  autovacuum_vacuum_cost_delay = 0
);

-- Half of each page stays free, so that renewing a lease touches no index.
create table lease (
  task uuid not null,
  slot smallint not null,
  fence integer not null check (fence > 0),
  secret bigint not null,
  worker integer not null,
  epoch integer not null,
  seq bigint not null,
  lane integer not null,
  has_carry boolean not null,
  claimed_at bigint not null,
  started_at bigint,
  expires_at bigint not null,
  deadline bigint,
  progress double precision,
  progress_message text,
  checkpoint text,
  primary key (task, slot),
  check ((started_at is null) = (deadline is null))
) with (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 20000,
  autovacuum_vacuum_cost_delay = 0
);

create table carry (
  task uuid not null,
  slot smallint not null,
  run_at bigint not null,
  order_key bigint not null,
  fence integer not null,
  attempts integer not null,
  failures integer not null,
  losses integer not null,
  lost_in_a_row integer not null,
  error_code text,
  error_message text,
  error_detail text,
  reported_fence integer,
  reported_digest bytea,
  checkpoint text,
  suspect_since bigint,
  kept_until bigint,
  primary key (task, slot),
  check ((error_code is null) = (error_message is null)),
  check (error_code is not null or error_detail is null),
  check ((reported_fence is null) = (reported_digest is null))
);

create table outcome (
  task uuid not null primary key,
  lane integer not null,
  status smallint not null check (status between 5 and 8),
  claimed_at bigint,
  started_at bigint,
  ended_at bigint not null,
  worker integer,
  attempts integer not null,
  failures integer not null,
  losses integer not null,
  lost_in_a_row integer not null,
  fence integer not null,
  reported_fence integer,
  reported_digest bytea,
  error_code text,
  error_message text,
  error_detail text,
  output text,
  check ((worker is null) = (claimed_at is null)),
  check ((status = 5) = (output is not null)),
  check ((error_code is null) = (error_message is null)),
  check (error_code is not null or error_detail is null),
  check ((reported_fence is null) = (reported_digest is null))
);

-- Most tasks complete, and nobody looks for those by status; 5 is "completed".
create index outcome_by_status on outcome (status, task) where status <> 5;

create table attempt (
  task uuid not null,
  slot smallint not null,
  fence integer not null,
  number integer,
  worker integer not null,
  claimed_at bigint not null,
  started_at bigint,
  ended_at bigint not null,
  ended smallint not null check (ended between 1 and 5),
  error_code text,
  error_message text,
  error_detail text,
  primary key (task, slot, fence),
  check ((number is null) = (started_at is null)),
  check ((error_code is null) = (error_message is null)),
  check (error_code is not null or error_detail is null)
);

create table late_result (
  task uuid not null,
  slot smallint not null,
  fence integer not null,
  at bigint not null,
  said smallint not null check (said between 1 and 5),
  error_code text,
  error_message text,
  error_detail text,
  output text,
  primary key (task, slot, fence),
  check ((error_code is null) = (error_message is null)),
  check (error_code is not null or error_detail is null)
);

-- tasks: their ids one after the other, 16 bytes each.
create table idempotency (
  scope text collate "C" not null,
  key text collate "C" not null,
  digest bytea not null,
  tasks bytea not null,
  created_at bigint not null,
  primary key (scope, key)
);

create index idempotency_by_age on idempotency (created_at);

create table counter (
  server integer not null,
  lane integer not null,
  status smallint not null check (status between 1 and 8),
  n bigint not null,
  primary key (server, lane, status)
) with (
  fillfactor = 10,
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 20000,
  autovacuum_vacuum_cost_delay = 0
);
