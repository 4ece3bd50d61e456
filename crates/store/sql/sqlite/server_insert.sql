insert into server (number, started_at, expires_at)
values (?1, ?2, ?3)
