-- A migrated database.
update meta
set schema = $1, min_compatible = $2
