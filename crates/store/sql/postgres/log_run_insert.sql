-- log_run_insert (PostgreSQL): those that are not there. Another server may be about to put the same ones in.
insert into log_run (task, slot, fence, claimed_at, attempt, next_seq, bytes, is_full)
select unnest($1::uuid[]), unnest($2::smallint[]), unnest($3::int[]), unnest($4::bigint[]), unnest($5::int[]), 1, 0,
  false
on conflict (task, slot, fence) do nothing
