-- reader_settings (PostgreSQL): a long read holds back the vacuum of everything.
set jit = off;
set statement_timeout = '10s';
set lock_timeout = '2s';
set idle_in_transaction_session_timeout = '10s'
