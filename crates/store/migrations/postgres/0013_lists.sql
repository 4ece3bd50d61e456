-- Lists by kind look for its lanes, of which there may be many more than have anything open: they stay for good. Lists by
-- status and queue, kind or worker pass over what has ended as it stands in the index, without a look at its row. Servers
-- that know only the tables before find what they look for in both.

create index lane_by_kind on lane (kind, queue, demands);

drop index outcome_by_status;
create index outcome_by_status on outcome (status, task) include (lane, worker) where status <> 5;
