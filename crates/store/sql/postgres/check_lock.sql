-- check_lock (PostgreSQL): before all of it is looked through: whether somebody holds a table even against those who read,
-- as one who changes it does. Waits for a while, and not for as long as that lasts.
begin read only;
set local lock_timeout = '5s';
lock table attempt, carry, counter, idempotency, lane, late_result, lease, log_chunk, log_run, minute, operation, outcome,
  queue, ready, scheduled, server, task, unique_key, worker in access share mode;
commit
