-- All lanes with what they require, and what they are of.
select number, demands, queue, kind
from lane
order by number
