select number, queue, kind, demands
from lane
where number = ?1
