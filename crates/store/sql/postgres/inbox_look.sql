-- inbox_look (PostgreSQL, where an inbox is): which inbox it is, and for how long the first row has waited, in microseconds.
select
  inbox_schema.version,
  inbox_schema.min_compatible,
  (
    select greatest((extract(epoch from clock_timestamp() - inbox.created_at) * 1000000)::bigint, 0)
    from taskyard.inbox
    where inbox.error is null
    order by inbox.seq
    limit 1
  )
from taskyard.inbox_schema
