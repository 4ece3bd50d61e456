-- outcome_load (PostgreSQL): by key, only read, as in `lease_lock`; what decisions go by. What runs left behind may be
-- large.
select task, status, fence, reported_fence, reported_digest
from outcome
where task = any ($1::uuid[])
