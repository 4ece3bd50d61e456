-- outcome_discard (PostgreSQL): those of these tasks. Fails, and so undoes the batch, unless every row is there: they are
-- counted.
delete from outcome
where task = any ($1::uuid[])
returning 1
