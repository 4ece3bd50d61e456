-- The tables of a small shop, which the examples write to. Taskyard's inbox stands beside them:
--   taskyard db inbox --apply --inbox "$SHOP_URL"
create table if not exists orders (
  id bigint generated always as identity primary key,
  item text not null,
  task uuid
);
