-- All JSON that is kept of tasks: whose it is, what it is of that task, and its text. Read row by row, and judged by the
-- program: not every PostgreSQL can say whether a text is JSON.
select id, 'input', input
from task
union all
select id, 'labels', labels
from task
union all
select task, 'checkpoint', checkpoint
from lease
where checkpoint is not null
union all
select task, 'checkpoint', checkpoint
from carry
where checkpoint is not null
union all
select task, 'error', error_detail
from carry
where error_detail is not null
union all
select task, 'output', output
from outcome
where output is not null
union all
select task, 'error', error_detail
from outcome
where error_detail is not null
union all
select task, 'error of an earlier run', error_detail
from attempt
where error_detail is not null
union all
select task, 'late result', output
from late_result
where output is not null
union all
select task, 'late result', error_detail
from late_result
where error_detail is not null
