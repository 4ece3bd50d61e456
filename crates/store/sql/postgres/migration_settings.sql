-- migration_settings (PostgreSQL): for a transaction that changes tables. Whoever waits for a table holds up all who come
-- after, so it waits for a moment. The machine of whoever migrates may vanish: the database is to notice, and to let the
-- next one go on.
set local lock_timeout = '2s';
set local tcp_keepalives_idle = '5s';
set local tcp_keepalives_interval = '2s';
set local tcp_keepalives_count = 3
