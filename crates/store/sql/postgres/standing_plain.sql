-- standing_plain (PostgreSQL): the same where the database lets nobody see its timelines, as some services do.
select
  pg_is_in_recovery(),
  current_setting('transaction_read_only'),
  null,
  null,
  null
