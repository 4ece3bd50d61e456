-- The kept reports on a task that were refused, by run.
select task, slot, fence, at, said, error_code, error_message, error_detail, output
from late_result
where task = $1
order by task, slot, fence
