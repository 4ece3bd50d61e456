-- standing_same (PostgreSQL): whether this is still the primary that it was; asked with the settings of a transaction, so it
-- has no parameter: the word is put in the place of TIMELINE. Fails where it is not, by an error that nothing else makes:
-- there is no logarithm of zero.
select ln((
  case when pg_is_in_recovery() then '' else left(pg_walfile_name(pg_current_wal_lsn()), 8) end = 'TIMELINE'
)::int)
