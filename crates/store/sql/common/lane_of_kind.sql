-- The numbers of the lanes of kind $1, and of queue $2 if it is given; at most $3. No name goes beyond a tilde.
select number
from lane
where kind = $1 and queue >= coalesce(cast($2 as text), '') and queue <= coalesce($2, '~')
limit $3
