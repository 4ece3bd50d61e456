-- late_result_put (PostgreSQL): a second report of the same run takes the place of the first.
insert into late_result (task, slot, fence, at, said, error_code, error_message, error_detail, output)
select *
from unnest($1::uuid[], $2::smallint[], $3::int[], $4::bigint[], $5::smallint[], $6::text[], $7::text[], $8::text[],
  $9::text[])
on conflict (task, slot, fence) do update
set at = excluded.at, said = excluded.said, error_code = excluded.error_code, error_message = excluded.error_message,
  error_detail = excluded.error_detail, output = excluded.output
