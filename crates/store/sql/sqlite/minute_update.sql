update minute
set submitted = ?4, started = ?5, completed = ?6, failed = ?7, timeout = ?8, cancelled = ?9, retried = ?10, waits = ?11,
  runs = ?12
where minute = ?1 and server = ?2 and lane = ?3
