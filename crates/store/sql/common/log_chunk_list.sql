-- The chunks of a run ($1) that end behind one of its lines ($2).
select seq, lines
from log_chunk
where run = $1 and seq > $2
order by seq
limit $3
