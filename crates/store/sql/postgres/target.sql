-- target (PostgreSQL): what a server must know of a database before it touches it. Tables of extensions do not count, nor
-- an inbox, which stands in the schema that a role by the name of taskyard looks in first.
select
  current_setting('server_version_num')::int,
  pg_is_in_recovery() or current_setting('default_transaction_read_only')::bool,
  current_setting('server_encoding'),
  current_schema(),
  current_setting('fsync')::bool and current_setting('full_page_writes')::bool,
  exists (
    select from pg_class
    where relnamespace = to_regnamespace(quote_ident(current_schema()))
      and relkind in ('r', 'p', 'v', 'm', 'f')
      and not (current_schema() = 'taskyard' and relname in ('inbox', 'inbox_schema'))
      and not exists (select from pg_depend where objid = pg_class.oid and deptype = 'e')
  ),
  (
    select count(*) = 4
    from pg_attribute
    where attrelid = to_regclass(quote_ident(current_schema()) || '.meta')
      and attname in ('only_row', 'schema', 'min_compatible', 'incarnation')
  ),
  -- Made behind all rows, where a dump is put back.
  exists (
    select from pg_constraint
    where conrelid = to_regclass(quote_ident(current_schema()) || '.meta')
      and contype = 'p'
  ),
  -- Made before all others, by their names, where a dump is put back.
  (
    select count(*) = 4
    from pg_attribute
    where attrelid = to_regclass(quote_ident(current_schema()) || '.attempt')
      and attname in ('task', 'slot', 'fence', 'claimed_at')
  )
