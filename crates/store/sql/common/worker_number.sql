select number
from worker
where name = $1
