-- scheduled_due (SQLite): the rows whose time has come by ?1, earliest first, at most ?2, behind the
-- first ?3. PostgreSQL differs: it locks them.
select run_at, task, slot, lane, order_key, why, has_carry
from scheduled
where run_at <= ?1
order by run_at, task, slot
limit ?2
offset ?3
