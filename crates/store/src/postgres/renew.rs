//! A database that was put back by PostgreSQL's own means gets a new incarnation: it is not the one that gave the
//! leases which its workers hold.

use taskyard_core::random::Random;
use tokio_postgres::Error;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::address::Address;
use super::open::{self, OpenError};
use super::sql;

/// Refused while a server says that it is up: it would go on under the old one.
pub async fn renew(url: &str, random: &mut dyn Random) -> Result<(), OpenError> {
    let address = Address::parse(url)?;
    let bits = (u128::from(random.bits()) << 64) | u128::from(random.bits());
    let (mut client, _) = open::look(&address).await?;
    let broken = |error: Error| OpenError::unusable(&address, &error);
    let tx = client.transaction().await.map_err(broken)?;
    let now: i64 = tx
        .query_typed_one(sql::CLOCK, &[])
        .await
        .map_err(broken)?
        .get(0);
    let none = 0_i32;
    let up = tx
        .query_typed_one(sql::SERVER_UP, &[(&now, Type::INT8), (&none, Type::INT4)])
        .await;
    let up = up.map_err(broken)?;
    let (servers, until): (i64, i64) = (up.get(0), up.get(1));
    if servers > 0 {
        return Err(OpenError::InUse {
            server: address.to_string(),
            servers,
            seconds: (until - now) / 1_000_000 + 1,
        });
    }
    let incarnation = Uuid::from_u128(bits);
    tx.execute_typed(sql::META_RENEW, &[(&incarnation, Type::UUID)])
        .await
        .map_err(broken)?;
    tx.commit().await.map_err(broken)
}
