-- Times and durations are microseconds; ids are 16 bytes; JSON is text exactly as it was received. Wide rows live in
-- rowid tables, where long inputs cost half as much; narrow ones are stored in their key's own order.

create table meta (
  only_row integer not null primary key check (only_row = 1),
  schema integer not null,
  min_compatible integer not null,
  incarnation blob not null
) strict;

create table server (
  number integer not null primary key,
  started_at integer not null,
  expires_at integer not null
) strict;

create table worker (
  name text not null primary key,
  number integer not null unique,
  epoch integer not null,
  server integer,
  kinds text,
  queues text,
  labels text not null,
  capacity integer not null,
  registered_at integer not null,
  expires_at integer not null,
  kept_task blob,
  kept_slot integer,
  check ((kept_task is null) = (kept_slot is null))
) strict, without rowid;

create table lane (
  number integer not null primary key check (number > 0),
  queue text not null,
  kind text not null,
  demands text not null,
  unique (queue, kind, demands)
) strict;

create table task (
  id blob not null primary key,
  lane integer not null,
  order_key integer not null,
  priority integer not null,
  run_at integer not null,
  created_at integer not null,
  max_attempts integer not null,
  max_losses integer not null,
  timeout integer not null,
  backoff integer not null,
  backoff_factor real not null,
  backoff_max integer not null,
  backoff_jitter real not null,
  labels text not null,
  digest blob,
  input_len integer not null,
  input text not null
) strict;

create index task_by_lane on task (lane, id);

create table scheduled (
  run_at integer not null,
  task blob not null,
  slot integer not null,
  lane integer not null,
  order_key integer not null,
  why integer not null check (why between 1 and 3),
  has_carry integer not null check (has_carry in (0, 1)),
  primary key (run_at, task, slot)
) strict, without rowid;

create table ready (
  lane integer not null,
  order_key integer not null,
  task blob not null,
  slot integer not null,
  has_carry integer not null check (has_carry in (0, 1)),
  primary key (lane, order_key, task, slot)
) strict, without rowid;

create table lease (
  task blob not null,
  slot integer not null,
  fence integer not null check (fence > 0),
  secret integer not null,
  worker integer not null,
  epoch integer not null,
  seq integer not null,
  lane integer not null,
  has_carry integer not null check (has_carry in (0, 1)),
  claimed_at integer not null,
  started_at integer,
  expires_at integer not null,
  deadline integer,
  progress real,
  progress_message text,
  checkpoint text,
  primary key (task, slot),
  check ((started_at is null) = (deadline is null))
) strict, without rowid;

create table carry (
  task blob not null,
  slot integer not null,
  run_at integer not null,
  order_key integer not null,
  fence integer not null,
  attempts integer not null,
  failures integer not null,
  losses integer not null,
  lost_in_a_row integer not null,
  error_code text,
  error_message text,
  error_detail text,
  reported_fence integer,
  reported_digest blob,
  checkpoint text,
  suspect_since integer,
  kept_until integer,
  primary key (task, slot),
  check ((error_code is null) = (error_message is null)),
  check (error_code is not null or error_detail is null),
  check ((reported_fence is null) = (reported_digest is null))
) strict, without rowid;

create table outcome (
  task blob not null primary key,
  lane integer not null,
  status integer not null check (status between 5 and 8),
  claimed_at integer,
  started_at integer,
  ended_at integer not null,
  worker integer,
  attempts integer not null,
  failures integer not null,
  losses integer not null,
  lost_in_a_row integer not null,
  fence integer not null,
  reported_fence integer,
  reported_digest blob,
  error_code text,
  error_message text,
  error_detail text,
  output text,
  check ((worker is null) = (claimed_at is null)),
  check ((status = 5) = (output is not null)),
  check ((error_code is null) = (error_message is null)),
  check (error_code is not null or error_detail is null),
  check ((reported_fence is null) = (reported_digest is null))
) strict;

-- Most tasks complete, and nobody looks for those by status; 5 is "completed".
create index outcome_by_status on outcome (status, task) where status <> 5;

create table attempt (
  task blob not null,
  slot integer not null,
  fence integer not null,
  number integer,
  worker integer not null,
  claimed_at integer not null,
  started_at integer,
  ended_at integer not null,
  ended integer not null check (ended between 1 and 5),
  error_code text,
  error_message text,
  error_detail text,
  primary key (task, slot, fence),
  check ((number is null) = (started_at is null)),
  check ((error_code is null) = (error_message is null)),
  check (error_code is not null or error_detail is null)
) strict, without rowid;

create table late_result (
  task blob not null,
  slot integer not null,
  fence integer not null,
  at integer not null,
  said integer not null check (said between 1 and 5),
  error_code text,
  error_message text,
  error_detail text,
  output text,
  primary key (task, slot, fence),
  check ((error_code is null) = (error_message is null)),
  check (error_code is not null or error_detail is null)
) strict;

-- tasks: their ids one after the other, 16 bytes each.
create table idempotency (
  scope text not null,
  key text not null,
  digest blob not null,
  tasks blob not null,
  created_at integer not null,
  primary key (scope, key)
) strict, without rowid;

create index idempotency_by_age on idempotency (created_at);

create table counter (
  server integer not null,
  lane integer not null,
  status integer not null check (status between 1 and 8),
  n integer not null,
  primary key (server, lane, status)
) strict, without rowid;
