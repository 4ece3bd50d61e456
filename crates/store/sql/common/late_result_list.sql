-- The kept reports on a task that were refused, by run, without details of more than $1 bytes.
select task, slot, fence, at, said, error_code, error_message,
  case when octet_length(error_detail) <= cast($1 as bigint) then error_detail end, output
from late_result
where task = $2
order by task, slot, fence
