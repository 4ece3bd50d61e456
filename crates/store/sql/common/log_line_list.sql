-- The lines of a run ($1) behind one of them ($2).
select seq, at, stream, line
from log_line
where run = $1 and seq > $2
order by seq
limit $3
