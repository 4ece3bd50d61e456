-- outcome_insert (PostgreSQL): all rows of a batch at once.
insert into outcome (task, lane, status, claimed_at, started_at, ended_at, worker, attempts, failures, losses,
  lost_in_a_row, fence, reported_fence, reported_digest, error_code, error_message, error_detail, output)
select unnest($1::uuid[]), unnest($2::int[]), unnest($3::smallint[]), unnest($4::bigint[]), unnest($5::bigint[]),
  unnest($6::bigint[]), unnest($7::int[]), unnest($8::int[]), unnest($9::int[]), unnest($10::int[]), unnest($11::int[]),
  unnest($12::int[]), unnest($13::int[]), unnest($14::bytea[]), unnest($15::text[]), unnest($16::text[]),
  unnest($17::text[]), unnest($18::text[])
