-- The numbers of the lanes of kind $1 and of queue $2, where they are given; at most $3.
select number
from lane
where (cast($1 as text) is null or kind = $1)
  and (cast($2 as text) is null or queue = $2)
order by number
limit $3
