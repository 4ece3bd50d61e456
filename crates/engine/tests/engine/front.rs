//! Stores that do something of their own in front of a model, which does the rest.

use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use taskyard_core::command::Command;
use taskyard_core::lane::{Lane, Lanes};
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::store::{Error, Ran, Store};
use taskyard_core::time::Timestamp;
use taskyard_store::model::Model;

/// What is done in front of the model.
#[async_trait]
pub(crate) trait Front: Send + Sync {
    fn model(&self) -> &Model;

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, Error> {
        self.model().run(batch, policy).await
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        self.model().read(query).await
    }

    fn batches_max(&self) -> usize {
        self.model().batches_max()
    }
}

pub(crate) struct Fronted<F>(pub(crate) F);

impl<F> Deref for Fronted<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.0
    }
}

#[async_trait]
impl<F: Front> Store for Fronted<F> {
    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, Error> {
        self.0.run(batch, policy).await
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        self.0.read(query).await
    }

    fn batches_max(&self) -> usize {
        self.0.batches_max()
    }

    fn now(&self) -> Timestamp {
        self.model().now()
    }

    fn incarnation(&self) -> [u8; 16] {
        self.model().incarnation()
    }

    fn lanes(&self) -> Arc<Lanes> {
        self.model().lanes()
    }

    fn unsure(&self, lane: Option<Lane>) {
        self.model().unsure(lane);
    }
}
