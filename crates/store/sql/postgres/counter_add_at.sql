-- counter_add_at (PostgreSQL): one change for each lane of a batch, where its counter stands ($11), as the last change
-- answered. Each change leaves a dead row, and all of them stand under one key: as long as an old snapshot keeps them,
-- to find the one that lives by its key would be to look at all of them; so the conditions on the key are none that its
-- index could serve. Fails, and so undoes the batch, unless every row is there: they are counted.
update counter
set scheduled = counter.scheduled + new.scheduled, pending = counter.pending + new.pending,
  assigned = counter.assigned + new.assigned, running = counter.running + new.running,
  completed = counter.completed + new.completed, failed = counter.failed + new.failed,
  timeout = counter.timeout + new.timeout, cancelled = counter.cancelled + new.cancelled
from (
  select unnest($1::int[]) as server, unnest($2::int[]) as lane, unnest($3::bigint[]) as scheduled,
    unnest($4::bigint[]) as pending, unnest($5::bigint[]) as assigned, unnest($6::bigint[]) as running,
    unnest($7::bigint[]) as completed, unnest($8::bigint[]) as failed, unnest($9::bigint[]) as timeout,
    unnest($10::bigint[]) as cancelled, unnest($11::tid[]) as spot
) as new
where counter.ctid = new.spot and counter.server - new.server = 0 and counter.lane - new.lane = 0
returning counter.lane, counter.ctid as spot
