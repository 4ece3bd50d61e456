-- Taskyard's inbox: tasks that are submitted within transactions of this database, beside whatever else these do.
-- For PostgreSQL 13 or newer. Run by `taskyard db inbox --apply`, or by psql as it stands; running it again changes
-- nothing. It is taken away by `taskyard db inbox --drop`.

begin;

-- Two that run it at once would meet in the catalogue.
do $$ begin perform pg_advisory_xact_lock(7234017283807667310); end $$;

create schema if not exists taskyard;

-- Which inbox this is: programs that know min_compatible or newer can take from it.
create table if not exists taskyard.inbox_schema (
  only_row integer not null primary key default 1 check (only_row = 1),
  version integer not null,
  min_compatible integer not null
);
insert into taskyard.inbox_schema (version, min_compatible) values (1, 1) on conflict do nothing;

-- A UUIDv7 (RFC 9562): 48 bits of milliseconds, then twelve bits of the fraction of one, so that ids made one after another
-- by one session stand in their order, then 62 random bits.
create or replace function taskyard.new_id()
returns uuid
language sql
volatile
as $$
  select encode(
    overlay(
      uuid_send(gen_random_uuid())
      placing int8send((micros / 1000) << 16 | 28672 | (micros % 1000) * 4096 / 1000)
      from 1 for 8
    ),
    'hex'
  )::uuid
  from (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as micros) as clock
$$;

-- What waits to be taken over, and what was refused: `error` says why, until somebody sets it to null, whereupon the row is
-- tried again.
create table if not exists taskyard.inbox (
  id uuid not null primary key default taskyard.new_id(),
  seq bigint not null generated always as identity,
  kind text not null,
  input jsonb not null default '{}',
  options jsonb not null default '{}',
  created_at timestamptz not null default clock_timestamp(),
  error jsonb,
  failed_at timestamptz
)
-- All of it turns over all the time, so it is vacuumed by the count of dead rows.
with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

create index if not exists inbox_waiting on taskyard.inbox (seq) where error is null;
create index if not exists inbox_refused on taskyard.inbox (failed_at) where error is not null;

-- Tells the servers of new rows once their transaction commits, and from which one on to look.
create or replace function taskyard.inbox_notify()
returns trigger
language plpgsql
as $$
declare
  first bigint := (select min(added.seq) from added);
begin
  if first is not null then
    perform pg_catalog.pg_notify('taskyard_inbox', first::text);
  end if;
  return null;
end
$$;

do $$
begin
  if not exists (
    select from pg_catalog.pg_trigger
    where tgrelid = 'taskyard.inbox'::regclass and tgname = 'inbox_notify'
  ) then
    create trigger inbox_notify
    after insert on taskyard.inbox
    referencing new table as added
    for each statement execute function taskyard.inbox_notify();
  end if;
end
$$;

-- Submits a task with this transaction, and answers its id. It runs with the rights of whoever calls it: `usage` on the
-- schema, and `insert` on the table.
create or replace function taskyard.submit(kind text, input jsonb default '{}', options jsonb default '{}')
returns uuid
language plpgsql
volatile
as $$
declare
  task uuid := taskyard.new_id();
begin
  insert into taskyard.inbox (id, kind, input, options)
  values (task, submit.kind, coalesce(submit.input, 'null'), coalesce(submit.options, '{}'));
  return task;
end
$$;

commit;
