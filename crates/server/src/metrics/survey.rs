//! One read for all who come while it is under way, and for as long as each may wait.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use taskyard_core::query::{Query, Survey};
use taskyard_core::time::Timestamp;
use tokio::sync::watch;

use crate::app::App;

/// What was found, and at which time of the store's.
type Found = (Arc<Survey>, Timestamp);

/// The read under way, if there is one. It sends what it found, or ends without.
#[derive(Default)]
pub(crate) struct Surveys(Mutex<Option<watch::Receiver<Option<Found>>>>);

impl Surveys {
    /// None where the database failed or took longer; the read goes on then, and whoever comes next waits for the same.
    pub(crate) async fn within(&self, app: &App, wait: Duration) -> Option<Found> {
        let mut read = self.join(app);
        let found = tokio::time::timeout(wait, read.wait_for(Option::is_some)).await;
        found.ok()?.ok()?.clone()
    }

    fn join(&self, app: &App) -> watch::Receiver<Option<Found>> {
        let mut under_way = self.0.lock();
        if let Some(read) = &*under_way
            && read.has_changed().is_ok_and(|is_over| !is_over)
        {
            return read.clone();
        }
        let (found, read) = watch::channel(None);
        tokio::spawn(look(app.clone(), found));
        *under_way = Some(read.clone());
        read
    }
}

async fn look(app: App, found: watch::Sender<Option<Found>>) {
    let _turn = app.turn_to_list().await;
    let now = app.engine().store().now();
    // Each open lane may have something ready, and its twin.
    let lanes = app.engine().policy().lanes_max.saturating_mul(2);
    match app.engine().read(Query::Survey { now, lanes }).await {
        Ok(answer) => {
            found.send_replace(Some((Arc::new(answer.survey()), now)));
        }
        Err(error) => {
            if let Some(others) = app.troubles().tell(&error.to_string()) {
                tracing::warn!(%error, others, "the database could not be surveyed");
            }
        }
    }
}
