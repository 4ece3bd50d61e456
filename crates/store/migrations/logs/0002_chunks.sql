-- Lines of a log that follow each other lie in one row, as a JSON array of [at, stream, text]; `seq` is the number of the
-- last of them. Those of before get a row each.

create table log_chunk (
  run integer not null,
  seq integer not null,
  lines text not null,
  primary key (run, seq)
) strict;

insert into log_chunk (run, seq, lines)
select run, seq, json_array(json_array(at, stream, line))
from log_line;

drop table log_line;
