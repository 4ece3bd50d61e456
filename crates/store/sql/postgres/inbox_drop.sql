-- inbox_drop (PostgreSQL, where an inbox is): takes the inbox away with all its rows, and its schema if nothing else is in it.
drop function if exists taskyard.submit(text, jsonb, jsonb);
drop table if exists taskyard.inbox;
drop function if exists taskyard.inbox_notify();
drop function if exists taskyard.new_id();
drop table if exists taskyard.inbox_schema;
do $$
begin
  if exists (select from pg_catalog.pg_namespace where nspname = 'taskyard') then
    drop schema taskyard;
  end if;
exception
  -- Somebody else's things are in it, or it is somebody else's.
  when dependent_objects_still_exist or insufficient_privilege then null;
end
$$
