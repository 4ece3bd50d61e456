insert into minute (
  minute, server, lane, submitted, started, completed, failed, timeout, cancelled, retried, waits, runs
)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
