-- All servers that ever were up, as they said last, behind their numbers.
select number, number, started_at, expires_at
from server
order by number
