-- hint_listen (PostgreSQL): the channel of the servers whose tables are in this schema; see `hint_send`. Its name cannot be
-- a parameter.
do $$
begin
  execute format('listen %I', 'taskyard_' || to_regnamespace(quote_ident(current_schema()))::oid);
end
$$
