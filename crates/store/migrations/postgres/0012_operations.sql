-- Acts on every task that a filter lets through. Servers that know only the tables before leave them to the others.

create table operation (
  id uuid not null primary key,
  act smallint not null check (act in (1, 2)),
  filter text not null,
  cursor uuid,
  done bigint not null,
  skipped bigint not null,
  created_at bigint not null,
  ended_at bigint,
  cancelled boolean not null,
  check (ended_at is not null or not cancelled)
);

create index operation_open on operation (id) where ended_at is null;
create index operation_by_end on operation (ended_at) where ended_at is not null;
