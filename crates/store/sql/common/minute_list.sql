-- What all servers did in minute $1 and those behind it.
select minute, lane, submitted, started, completed, failed, timeout, cancelled, retried, waits, runs
from minute
where minute >= $1
