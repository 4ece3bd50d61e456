-- inbox_count (PostgreSQL, where an inbox is): how many rows wait, and how many were refused.
select count(*) filter (where error is null), count(*) filter (where error is not null)
from taskyard.inbox
