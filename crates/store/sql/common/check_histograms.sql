-- What all servers did in each minute, behind its lane.
select lane, minute, lane, submitted, started, completed, failed, timeout, cancelled, retried, waits, runs
from minute
order by minute, server, lane
