-- standing (PostgreSQL): what a server must know of the host that it has reached: is it a standby, does it take writes,
-- which timeline does it write, of which timeline was its last checkpoint, which cluster is it. A promotion begins a new
-- timeline; on a standby only the checkpoint tells of it, and tells of it late.
select
  pg_is_in_recovery(),
  current_setting('transaction_read_only'),
  case when not pg_is_in_recovery() then left(pg_walfile_name(pg_current_wal_lsn()), 8) end,
  (select timeline_id from pg_control_checkpoint()),
  (select system_identifier from pg_control_system())
