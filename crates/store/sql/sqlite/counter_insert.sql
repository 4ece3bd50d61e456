insert into counter (
  server, lane, scheduled, pending, assigned, running, completed, failed, timeout, cancelled
)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
