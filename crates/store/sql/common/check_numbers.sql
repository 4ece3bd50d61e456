-- Up to which number workers were given theirs before the database was emptied.
select given_before
from meta
