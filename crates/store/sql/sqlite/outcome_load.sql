-- outcome_load (SQLite): by key, what decisions go by; what runs left behind may be large.
select status, fence, reported_fence, reported_digest
from outcome
where task = ?1
