-- late_result_put (PostgreSQL): a second report of the same run takes the place of the first.
insert into late_result (task, slot, fence, at, said, error_code, error_message, error_detail, output)
select unnest($1::uuid[]), unnest($2::smallint[]), unnest($3::int[]), unnest($4::bigint[]), unnest($5::smallint[]),
  unnest($6::text[]), unnest($7::text[]), unnest($8::text[]), unnest($9::text[])
on conflict (task, slot, fence) do update
set at = excluded.at, said = excluded.said, error_code = excluded.error_code, error_message = excluded.error_message,
  error_detail = excluded.error_detail, output = excluded.output
