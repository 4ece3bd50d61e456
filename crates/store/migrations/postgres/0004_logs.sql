-- The logs of runs. A run has a small number here, so that its lines need not name it in full.

create table log_run (
  id bigint not null generated always as identity,
  task uuid not null,
  slot smallint not null,
  fence integer not null,
  claimed_at bigint not null,
  attempt integer not null,
  next_seq integer not null,
  bytes bigint not null,
  is_full boolean not null,
  primary key (task, slot, fence)
) with (fillfactor = 50);

create table log_line (
  run bigint not null,
  seq integer not null,
  at bigint not null,
  stream smallint not null check (stream between 1 and 3),
  line text not null,
  primary key (run, seq)
);
