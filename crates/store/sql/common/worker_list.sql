-- Workers by name, behind $1 if it is given, that are online at $2 if that is given, with the number of their leases;
-- at most $3. Forgotten ones are left out.
with page as (
  select name, number, epoch, server, kinds, queues, labels, capacity, registered_at, expires_at, kept_task, kept_slot,
    forgotten, draining, killed, completed, failed, killed_before
  from worker
  where not forgotten and name > coalesce(cast($1 as text), '')
    and expires_at > coalesce(cast($2 as bigint), -9223372036854775807)
  order by name
  limit $3
)
select page.name, page.number, page.epoch, page.server, page.kinds, page.queues, page.labels, page.capacity,
  page.registered_at, page.expires_at, page.kept_task, page.kept_slot, page.forgotten, page.draining, page.killed,
  page.completed, page.failed, page.killed_before, coalesce(holding.leases, 0)
from page
left join (select lease.worker, count(*) as leases from lease group by lease.worker) as holding
  on holding.worker = page.number
order by page.name
