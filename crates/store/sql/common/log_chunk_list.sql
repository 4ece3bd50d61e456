-- The lines of a run ($1) from the chunk on that has the one behind $2, or ends behind it.
select seq, lines
from log_chunk
where run = $1 and seq > $2
order by seq
limit $3
