-- What this database is.
select schema, min_compatible, incarnation
from meta
