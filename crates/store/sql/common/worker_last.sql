-- The highest worker number that there is; and the number up to which numbers and epochs were given out before the
-- database was emptied.
select coalesce((select max(number) from worker), 0), given_before
from meta
