-- inbox_refuse (PostgreSQL, where an inbox is): the row $1[i] is refused for the reason $2[i].
update taskyard.inbox
set error = refused.error::jsonb, failed_at = clock_timestamp()
from unnest($1::uuid[], $2::text[]) as refused (id, error)
where inbox.id = refused.id
