-- outcome_ended (PostgreSQL): which of these tasks have ended.
select task
from outcome
where task = any ($1::uuid[])
