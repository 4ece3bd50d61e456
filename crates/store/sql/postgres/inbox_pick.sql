-- inbox_pick (PostgreSQL, where an inbox is): the first $1 rows from number $2 on that wait, held until the end of the
-- transaction; those that another server holds are left out. Of an input of more than $3 bytes, or options of more than $4,
-- only the length comes along; and of all, as many as have $5 bytes together, one of them whatever its size.
select id, seq, kind, input_len, input, options_len, options
from (
  select
    picked.id,
    picked.seq,
    left(picked.kind, 1000) as kind,
    octet_length(body.input) as input_len,
    case when octet_length(body.input) <= $3 then body.input end as input,
    octet_length(body.options) as options_len,
    case when octet_length(body.options) <= $4 then body.options end as options,
    sum(least(octet_length(body.input), $3) + least(octet_length(body.options), $4)) over (order by picked.seq) as bytes,
    row_number() over (order by picked.seq) as place
  from (
    select inbox.id, inbox.seq, inbox.kind, inbox.input, inbox.options
    from taskyard.inbox
    where inbox.error is null and inbox.seq >= $2
    order by inbox.seq
    limit $1
    for update skip locked
  ) as picked
  cross join lateral (
    select picked.input::text as input, picked.options::text as options
    offset 0
  ) as body
) as sized
where sized.place = 1 or sized.bytes <= $5
order by sized.seq
