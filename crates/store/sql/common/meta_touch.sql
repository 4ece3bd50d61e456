-- Changes nothing: finds out whether the database takes writes.
update meta
set schema = schema
