update counter set
  scheduled = scheduled + ?3,
  pending = pending + ?4,
  assigned = assigned + ?5,
  running = running + ?6,
  completed = completed + ?7,
  failed = failed + ?8,
  timeout = timeout + ?9,
  cancelled = cancelled + ?10
where server = ?1 and lane = ?2
