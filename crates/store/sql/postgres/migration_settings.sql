-- migration_settings (PostgreSQL): whoever waits for a table holds up all who come after, so it waits for a moment. The
-- machine of whoever migrates may vanish: the database is to notice, and to let the next one go on.
set lock_timeout = '2s';
set tcp_keepalives_idle = '5s';
set tcp_keepalives_interval = '2s';
set tcp_keepalives_count = 3
