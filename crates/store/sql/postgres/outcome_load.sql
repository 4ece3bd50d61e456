-- outcome_load (PostgreSQL): by key, only read; as in `lease_lock`.
select task, lane, status, claimed_at, started_at, ended_at, worker, attempts, failures, losses, lost_in_a_row, fence,
  reported_fence, reported_digest, error_code, error_message, error_detail, output
from outcome
where task = any ($1::uuid[])
