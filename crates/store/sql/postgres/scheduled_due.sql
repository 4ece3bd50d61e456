-- scheduled_due (PostgreSQL): the rows whose time has come by $1, earliest first, at most $2, behind
-- the first $3; held until the commit, those that another server holds left out. SQLite has one writer at a time and
-- locks nothing.
select scheduled.run_at, scheduled.task, scheduled.slot, scheduled.lane, scheduled.order_key, scheduled.why,
  scheduled.has_carry, scheduled.ctid
from scheduled
where run_at <= $1
order by run_at, task, slot
limit $2
offset $3
for update skip locked
