// An order and the task that it wants, both or neither:  SHOP_URL=postgresql://… node examples/inbox/order.js
//
// Needs pg: npm install pg
const { Client } = require("pg");

// Within the transaction of whoever calls it. Answers the task's id, which can be followed once that commits.
async function order(shop, item, options = {}) {
  const submitted = await shop.query("select taskyard.submit('echo', $1, $2) as task", [{ item }, options]);
  const { task } = submitted.rows[0];
  await shop.query("insert into orders (item, task) values ($1, $2)", [item, task]);
  return task;
}

async function main() {
  const shop = new Client({ connectionString: process.env.SHOP_URL });
  await shop.connect();

  await shop.query("begin");
  console.log(await order(shop, "kettle", { queue: "orders", priority: 1 }));
  await shop.query("commit");

  await shop.query("begin");
  await order(shop, "mistake");
  await shop.query("rollback"); // nobody hears of this one: it is rolled back with its order

  await shop.end();
}

main();
