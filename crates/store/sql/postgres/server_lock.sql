-- server_lock (PostgreSQL): every row, held until the commit.
select server.number, server.started_at, server.expires_at
from server
order by number
for update
