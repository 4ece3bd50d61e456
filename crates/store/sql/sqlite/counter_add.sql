insert into counter (server, lane, status, n)
values (?1, ?2, ?3, ?4)
on conflict (server, lane, status) do update set n = n + excluded.n
