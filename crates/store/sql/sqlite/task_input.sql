select input
from task
where id = ?1
