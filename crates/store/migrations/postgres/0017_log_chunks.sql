-- Lines of a log that follow each other lie in one row, as a JSON array of [at, stream, text]; `seq` is the number of the
-- last of them. Those of before get a row each. Servers that know only the tables before look for theirs in a table that is
-- gone; what they put in until then is taken along.

lock table log_line in access exclusive mode;

create table log_chunk (
  run bigint not null,
  seq integer not null,
  lines text not null,
  primary key (run, seq)
);

insert into log_chunk (run, seq, lines)
select run, seq, json_build_array(json_build_array(at, stream, line))::text
from log_line;

drop table log_line;
