-- An order and the task that it wants, both or neither:  psql "$SHOP_URL" -f examples/inbox/order.sql
\set ON_ERROR_STOP on

begin;
insert into orders (item, task)
values ('kettle', taskyard.submit('echo', '{"item": "kettle"}', '{"queue": "orders", "priority": 1}'))
returning task;
commit;

-- Nobody hears of this one: it is rolled back with its order.
begin;
insert into orders (item, task)
values ('mistake', taskyard.submit('echo', '{"item": "mistake"}'));
rollback;
