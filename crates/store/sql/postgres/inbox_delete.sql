-- inbox_delete (PostgreSQL, where an inbox is): the rows $1, which were taken over.
delete from taskyard.inbox
where id = any ($1)
