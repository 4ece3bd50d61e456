-- Every server, by number.
select number, started_at, expires_at
from server
order by number
