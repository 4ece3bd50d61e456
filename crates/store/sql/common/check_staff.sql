-- All workers without what they take, which is judged by itself: null stands for all, and `''` for no label.
select name, number, epoch, server, cast(null as text), cast(null as text), '', capacity, registered_at, expires_at, kept_task,
  kept_slot, forgotten, draining, killed, completed, failed, killed_before
from worker
order by name
