-- log_delete (SQLite): every log; in a file of its own. PostgreSQL has them among its tables.
delete from log_chunk;
delete from log_run
