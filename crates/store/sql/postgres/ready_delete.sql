-- ready_delete (PostgreSQL): rows that this transaction holds, by where they stand. Fails, and so undoes the batch,
-- unless every row is there: they are counted.
delete from ready
where ctid = any ($1::tid[])
returning 1
