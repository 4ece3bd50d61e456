//! The routes of those who look after the queues.

use super::error::Error;
use super::transport::{Call, Client};
use crate::page::{Page, PageQuery};
use crate::queue::{PatchQueue, Queue, QueueSettings};

impl Client {
    /// One page of queues, by name.
    pub async fn queues(&self, query: &PageQuery) -> Result<Page<Queue>, Error> {
        self.call(Call::get("/api/v1/queues").query(query)?).await
    }

    /// Nothing of it is given to workers from now on.
    pub async fn pause_queue(&self, name: &str) -> Result<QueueSettings, Error> {
        self.call(Call::post(path(name, "/pause")).repeatable())
            .await
    }

    pub async fn resume_queue(&self, name: &str) -> Result<QueueSettings, Error> {
        self.call(Call::post(path(name, "/resume")).repeatable())
            .await
    }

    pub async fn patch_queue(
        &self,
        name: &str,
        patch: &PatchQueue,
    ) -> Result<QueueSettings, Error> {
        let call = Call::patch(path(name, "")).json(patch)?;
        self.call(call.repeatable()).await
    }
}

/// A queue's name may hold slashes.
fn path(name: &str, verb: &str) -> String {
    let name = name.replace('%', "%25").replace('/', "%2F");
    format!("/api/v1/queues/{name}{verb}")
}
