select minute, lane, submitted, started, completed, failed, timeout, cancelled, retried, waits, runs
from minute
where minute = ?1 and server = ?2 and lane = ?3
