select id
from task
where id = ?1
