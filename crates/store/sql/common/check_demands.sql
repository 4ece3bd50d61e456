-- All lanes with what they require.
select number, demands
from lane
order by number
