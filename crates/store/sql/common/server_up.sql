-- How many servers but $2 say at $1 that they are up, and until when the last of them does.
select count(*), coalesce(max(expires_at), 0)
from server
where expires_at > $1 and number <> $2
