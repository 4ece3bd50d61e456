-- hint_send (PostgreSQL): tells $1 to the servers whose tables are in this schema. Other databases have channels of their
-- own under the same name.
select pg_notify('taskyard_' || to_regnamespace(quote_ident(current_schema()))::oid, $1::text)
