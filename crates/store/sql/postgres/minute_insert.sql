-- minute_insert (PostgreSQL): all rows of a batch at once.
insert into minute (
  minute, server, lane, submitted, started, completed, failed, timeout, cancelled, retried, waits, runs
)
select unnest($1::bigint[]), unnest($2::int[]), unnest($3::int[]), unnest($4::bigint[]), unnest($5::bigint[]),
  unnest($6::bigint[]), unnest($7::bigint[]), unnest($8::bigint[]), unnest($9::bigint[]), unnest($10::bigint[]),
  unnest($11::bytea[]), unnest($12::bytea[])
