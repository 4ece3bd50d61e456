select task
from outcome
where task = ?1
