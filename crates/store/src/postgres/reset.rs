//! Taking everything away: all of it or nothing, in one transaction. What stays is told by `all_delete.sql`.
//!
//! Other servers would go on with what they remember, and with the incarnation of before. So nothing is taken away while
//! one says that it is up, and none can say so meanwhile. One that was cut off for longer, and comes back, finds the new
//! incarnation before its first batch; the lanes that it remembers are still there, and the numbers and epochs of the
//! workers that it remembers are no others'.

use taskyard_core::id::ServerNumber;
use taskyard_core::random::Random;
use taskyard_core::refused::Refused;
use taskyard_core::store::Error;
use taskyard_core::time::Timestamp;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::address::Address;
use super::error::{explain, explain_commit};
use super::fields::{Fields, Read};
use super::open::{self, OpenError};
use super::pooled::local;
use super::sql;
use crate::incarnation;

/// How often it is tried again where it and others waited for each other.
const CONFLICTS_MAX: usize = 3;
/// Servers are numbered from 1.
const NO_SERVER: ServerNumber = ServerNumber(0);

/// Empties the database at this address. Refused while a server says that it is up.
pub async fn reset(url: &str, random: &mut dyn Random) -> Result<(), OpenError> {
    let address = Address::parse(url)?;
    let (mut client, meta) = open::look(&address).await?;
    meta.is_of_today(&address)?;
    let failed = |error: Error| OpenError::Unusable {
        server: address.to_string(),
        reason: error.to_string(),
    };
    let now = client.query_typed_one(sql::CLOCK, &[]).await;
    let now = now.map_err(|error| failed(explain(&error)))?;
    let now = Fields::of(&now).time().map_err(failed)?;
    match empty(&mut client, now, NO_SERVER, incarnation(random)).await {
        Ok(Err(Refused::OthersUp { servers, seconds })) => Err(OpenError::InUse {
            server: address.to_string(),
            servers: i64::try_from(servers).unwrap_or(i64::MAX),
            seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        }),
        Ok(Err(refused)) => Err(failed(Error::Failed(refused.to_string()))),
        Ok(Ok(())) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// `own`: the server that asks for it, and is up.
pub(super) async fn empty(
    client: &mut Client,
    now: Timestamp,
    own: ServerNumber,
    incarnation: [u8; 16],
) -> Read<Result<(), Refused>> {
    let mut conflicts = 0;
    loop {
        match empty_once(client, now, own, Uuid::from_bytes(incarnation)).await {
            Err(Error::Conflict) if conflicts < CONFLICTS_MAX => conflicts += 1,
            emptied => return emptied,
        }
    }
}

async fn empty_once(
    client: &mut Client,
    now: Timestamp,
    own: ServerNumber,
    incarnation: Uuid,
) -> Read<Result<(), Refused>> {
    let tx = client.transaction().await;
    let tx = tx.map_err(|error| explain(&error))?;
    // As of a server that writes, so that it waits for nobody without end, but for as long as there is much to take away.
    let set = tx.batch_execute(&local(sql::WRITER_SETTINGS)).await;
    set.map_err(|error| explain(&error))?;
    let patient = tx.batch_execute(sql::RESET_SETTINGS).await;
    patient.map_err(|error| explain(&error))?;
    let held = tx.batch_execute(sql::SERVER_HOLD).await;
    held.map_err(|error| explain(&error))?;
    let now_micros = now.as_micros();
    let up = tx
        .query_typed_one(
            sql::SERVER_UP,
            &[(&now_micros, Type::INT8), (&own.0, Type::INT4)],
        )
        .await;
    let up = up.map_err(|error| explain(&error))?;
    let mut fields = Fields::of(&up);
    let (servers, until): (i64, i64) = (fields.take()?, fields.take()?);
    if servers > 0 {
        return Ok(Err(Refused::OthersUp {
            servers: servers.unsigned_abs(),
            seconds: Timestamp::from_micros(until).since(now).as_secs() + 1,
        }));
    }
    let renewed = tx
        .execute_typed(sql::META_RESET, &[(&incarnation, Type::UUID)])
        .await;
    renewed.map_err(|error| explain(&error))?;
    let emptied = tx.batch_execute(sql::ALL_DELETE).await;
    emptied.map_err(|error| explain(&error))?;
    tx.commit().await.map_err(|error| explain_commit(&error))?;
    Ok(Ok(()))
}
