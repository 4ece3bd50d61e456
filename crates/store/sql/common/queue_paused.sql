-- The names of the paused queues.
select name
from queue
where paused
