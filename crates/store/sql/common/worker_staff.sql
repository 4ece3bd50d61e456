-- Workers at $1: processes of their own that are online, those that are not, and workers inside of servers that are
-- online. Forgotten ones are left out.
select
  coalesce(sum(case when server is null and expires_at > $1 then 1 else 0 end), 0),
  coalesce(sum(case when server is null and expires_at <= $1 then 1 else 0 end), 0),
  coalesce(sum(case when server is not null and expires_at > $1 then 1 else 0 end), 0)
from worker
where not forgotten
