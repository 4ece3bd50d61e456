-- Tasks are found by their ids through the key's index alone. As long as `task` is taken for empty, one by lane and id
-- seems as good to PostgreSQL, and the whole of it is then read for each id; so it is there only for who names a lane by its
-- number in the statement, which alone implies the condition. `is not null` would be no condition to a newer PostgreSQL,
-- which knows that of the column. Servers that know only the tables before name their lanes in the same way.

drop index task_by_lane;
create index task_by_lane on task (lane, id) where lane > 0;
