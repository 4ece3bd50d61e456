-- counter_add (PostgreSQL): one change for each lane of a batch, in their order, where it is not known where its counter
-- stands, or that there is one. Answers where they stand now, by which `counter_add_at` finds them.
insert into counter (
  server, lane, scheduled, pending, assigned, running, completed, failed, timeout, cancelled
)
select
  unnest($1::int[]),
  unnest($2::int[]),
  unnest($3::bigint[]),
  unnest($4::bigint[]),
  unnest($5::bigint[]),
  unnest($6::bigint[]),
  unnest($7::bigint[]),
  unnest($8::bigint[]),
  unnest($9::bigint[]),
  unnest($10::bigint[])
on conflict (server, lane) do update set
  scheduled = counter.scheduled + excluded.scheduled,
  pending = counter.pending + excluded.pending,
  assigned = counter.assigned + excluded.assigned,
  running = counter.running + excluded.running,
  completed = counter.completed + excluded.completed,
  failed = counter.failed + excluded.failed,
  timeout = counter.timeout + excluded.timeout,
  cancelled = counter.cancelled + excluded.cancelled
returning counter.lane, counter.ctid as spot
