select number, queue, kind, demands
from lane
where queue = ?1 and kind = ?2 and demands = ?3
