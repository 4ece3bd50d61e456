//! An order and the task that it wants, both or neither:  SHOP_URL=postgresql://… cargo run -p taskyard --example order

use serde_json::{Value, json};
use tokio_postgres::{Error, NoTls, Transaction};
use uuid::Uuid;

/// Within this transaction. Answers the task's id, which can be followed once that commits.
async fn order(shop: &Transaction<'_>, item: &str, options: &Value) -> Result<Uuid, Error> {
    let input = json!({"item": item});
    let submit = "select taskyard.submit('echo', $1, $2)";
    let task: Uuid = shop.query_one(submit, &[&input, options]).await?.get(0);
    let insert = "insert into orders (item, task) values ($1, $2)";
    shop.execute(insert, &[&item, &task]).await?;
    Ok(task)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut shop, connection) =
        tokio_postgres::connect(&std::env::var("SHOP_URL")?, NoTls).await?;
    tokio::spawn(connection);

    let transaction = shop.transaction().await?;
    let options = json!({"queue": "orders", "priority": 1});
    let task = order(&transaction, "kettle", &options).await?;
    transaction.commit().await?;
    anstream::println!("{task}");

    let transaction = shop.transaction().await?;
    order(&transaction, "mistake", &json!({})).await?;
    // Nobody hears of this one: it is rolled back with its order.
    transaction.rollback().await?;
    Ok(())
}
