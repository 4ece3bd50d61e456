-- hint_settings (PostgreSQL): of the connection over which servers tell each other what they did. Nobody waits for the
-- disk over a hint, which would hold up all others that notify; and none of them is worth a long wait.
set synchronous_commit = off;
set jit = off;
set lock_timeout = '2s';
set statement_timeout = '5s';
set idle_in_transaction_session_timeout = '5s'
