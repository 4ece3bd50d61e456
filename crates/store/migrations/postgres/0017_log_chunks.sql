-- Lines of a log that follow each other lie in one row, as a JSON array of [at, stream, text]; `seq` is the number of the
-- last of them. Servers that know only the tables before would look for theirs in a table that is gone.

create table log_chunk (
  run bigint not null,
  seq integer not null,
  lines text not null,
  primary key (run, seq)
);

-- Numbers without a gap have the same distance to their places.
insert into log_chunk (run, seq, lines)
select run, max(seq), json_agg(json_build_array(at, stream, line) order by seq)::text
from (
  select run, seq, at, stream, line, stretch, row_number() over (partition by run, stretch order by seq) - 1 as place
  from (select *, seq - row_number() over (partition by run order by seq) as stretch from log_line) as line
) as line
group by run, stretch, place / 16;

drop table log_line;
