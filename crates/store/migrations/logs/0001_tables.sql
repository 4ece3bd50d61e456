-- The logs of runs, in a file of their own. A run has a small number here, so that its lines need not name it in full.

create table meta (
  only_row integer not null primary key check (only_row = 1),
  schema integer not null,
  min_compatible integer not null,
  incarnation blob not null
) strict;

create table log_run (
  id integer not null primary key,
  task blob not null,
  slot integer not null,
  fence integer not null,
  claimed_at integer not null,
  attempt integer not null,
  next_seq integer not null,
  bytes integer not null,
  is_full integer not null check (is_full in (0, 1)),
  unique (task, slot, fence)
) strict;

create table log_line (
  run integer not null,
  seq integer not null,
  at integer not null,
  stream integer not null check (stream between 1 and 3),
  line text not null,
  primary key (run, seq)
) strict, without rowid;
