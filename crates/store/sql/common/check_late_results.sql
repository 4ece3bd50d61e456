-- All reports that were refused, behind the ids of their tasks, without what is JSON and judged as that.
select task, task, slot, fence, at, said, error_code, error_message, null, null
from late_result
order by task
