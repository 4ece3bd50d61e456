select queue, key, task
from unique_key
where queue = ?1 and key = ?2
