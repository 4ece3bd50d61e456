-- all_delete (SQLite): every row of every table but meta, the servers, and the lanes, which this server knows by heart.
-- PostgreSQL differs: it has a statement for all of them, which waits for whoever reads.
delete from attempt;
delete from carry;
delete from counter;
delete from idempotency;
delete from late_result;
delete from lease;
delete from minute;
delete from operation;
delete from outcome;
delete from queue;
delete from ready;
delete from scheduled;
delete from task;
delete from unique_key;
delete from worker
