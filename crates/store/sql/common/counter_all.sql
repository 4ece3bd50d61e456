-- How many tasks there are, by status, over all lanes and servers.
select
  cast(coalesce(sum(scheduled), 0) as bigint),
  cast(coalesce(sum(pending), 0) as bigint),
  cast(coalesce(sum(assigned), 0) as bigint),
  cast(coalesce(sum(running), 0) as bigint),
  cast(coalesce(sum(completed), 0) as bigint),
  cast(coalesce(sum(failed), 0) as bigint),
  cast(coalesce(sum(timeout), 0) as bigint),
  cast(coalesce(sum(cancelled), 0) as bigint)
from counter
