//! Lanes that others name and this server does not know yet, or has forgotten.

use std::sync::Arc;

use parking_lot::Mutex;
use taskyard_core::hints::{Hints, Ready};
use taskyard_core::lane::{Lane, LaneKey};
use tokio::time::timeout;

use crate::postgres::asking::Reader;
use crate::postgres::fields::Read;
use crate::postgres::open::Meta;
use crate::postgres::readers::{Readers, too_late};
use crate::postgres::{reads, sql};
use crate::rows::key;
use crate::run::Memory;

/// Asks the database which lanes these are, so that it can be told whom they concern; those that are none are left out.
pub(in crate::postgres) async fn learn(
    hints: &mut Hints,
    readers: &Readers,
    memory: &Memory,
    incarnation: &Mutex<[u8; 16]>,
) {
    let Ready::In(ready) = &mut hints.ready else {
        return;
    };
    let known = memory.lanes();
    let plain = ready.keys().map(|lane| lane.plain());
    let unknown: Vec<Lane> = plain.filter(|lane| known.key(*lane).is_none()).collect();
    drop(known);
    if unknown.is_empty() {
        return;
    }
    let within = readers.within();
    let asked = timeout(within, named(&unknown, readers)).await;
    match asked.unwrap_or_else(|_| Err(too_late(within))) {
        Ok((found, of)) => {
            // Held, so that the one who finds out that the database is another one forgets these too.
            let incarnation = incarnation.lock();
            if *incarnation == of {
                memory.learn(found);
            }
        }
        Err(error) => {
            tracing::debug!(%error, "lanes of other servers could not be asked for; they are looked for later");
        }
    }
    let known = memory.lanes();
    ready.retain(|lane, _| known.key(*lane).is_some());
}

type Numbered = Vec<(Lane, Arc<LaneKey>)>;

/// Which lanes these are, and in which database.
async fn named(lanes: &[Lane], readers: &Readers) -> Read<(Numbered, [u8; 16])> {
    let mut lent = readers.lend().await?;
    let answer = named_by(lanes, &lent.reader()).await;
    lent.back_unless_away(answer)
}

async fn named_by(lanes: &[Lane], reader: &Reader<'_>) -> Read<(Numbered, [u8; 16])> {
    let numbers: Vec<i32> = lanes.iter().map(|lane| lane.0).collect();
    let found = reads::all(reader, sql::LANE_NAMED, &[&numbers], key::lane).await?;
    // Behind them, so that they are not of the database that came in the place of this one.
    let meta = reads::rows(reader, sql::META_LOAD, &[]).await?;
    let meta = Meta::only(&meta)?;
    Ok((found, meta.incarnation.into_bytes()))
}
