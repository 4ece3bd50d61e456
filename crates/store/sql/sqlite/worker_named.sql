select number, name
from worker
where number = ?1
