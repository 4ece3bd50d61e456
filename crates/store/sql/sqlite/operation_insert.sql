insert into operation (id, act, filter, cursor, done, skipped, created_at, ended_at, cancelled)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
