insert into counter (
  server, lane, scheduled, pending, assigned, running, completed, failed, timeout, cancelled
)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
on conflict (server, lane) do update set
  scheduled = scheduled + excluded.scheduled,
  pending = pending + excluded.pending,
  assigned = assigned + excluded.assigned,
  running = running + excluded.running,
  completed = completed + excluded.completed,
  failed = failed + excluded.failed,
  timeout = timeout + excluded.timeout,
  cancelled = cancelled + excluded.cancelled
