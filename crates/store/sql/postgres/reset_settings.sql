-- reset_settings (PostgreSQL): taking everything away takes as long as there is much.
set local statement_timeout = '50s'
