-- all_delete (PostgreSQL): every row of every table but meta, the servers, and the lanes, which servers know by heart. It
-- waits for whoever reads or writes one of them, and they for it.
truncate
  attempt,
  carry,
  counter,
  idempotency,
  late_result,
  lease,
  log_chunk,
  log_run,
  minute,
  operation,
  outcome,
  queue,
  ready,
  scheduled,
  task,
  unique_key,
  worker
