//! Stores that do something of their own in front of a model, which does the rest.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use taskyard_core::command::Command;
use taskyard_core::hints::Hints;
use taskyard_core::lane::{Lane, Lanes};
use taskyard_core::log::Logs;
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::store::{Close, Error, Ran, Store};
use taskyard_core::time::Timestamp;
use taskyard_store::model::Model;
use tokio::sync::Notify;

/// What is done in front of the model.
#[async_trait]
pub(crate) trait Front: Send + Sync {
    fn model(&self) -> &Model;

    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, Error> {
        self.model().run(batch, policy).await
    }

    async fn run_open(&self, close: Close, policy: &Policy) -> Result<Ran, Error> {
        self.run(close(), policy).await
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        self.model().read(query).await
    }

    fn batches_max(&self) -> usize {
        self.model().batches_max()
    }

    async fn heard(&self) -> Hints {
        self.model().heard().await
    }

    fn trouble(&self) -> Option<Error> {
        self.model().trouble()
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

    async fn run_open(&self, close: Close, policy: &Policy) -> Result<Ran, Error> {
        self.0.run_open(close, policy).await
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

    fn logs(&self) -> &dyn Logs {
        self.model().logs()
    }

    async fn heard(&self) -> Hints {
        self.0.heard().await
    }

    fn trouble(&self) -> Option<Error> {
        self.0.trouble()
    }
}

/// A store that keeps the answer to the first question of some kind to itself until the test lets it go.
pub(crate) struct HoldsBack {
    model: Model,
    is_of_kind: fn(&Query) -> bool,
    has_looked: AtomicBool,
    pub(crate) looked: Notify,
    pub(crate) let_go: Notify,
}

impl HoldsBack {
    pub(crate) fn around(model: Model, is_of_kind: fn(&Query) -> bool) -> Arc<Fronted<Self>> {
        Arc::new(Fronted(Self {
            model,
            is_of_kind,
            has_looked: AtomicBool::default(),
            looked: Notify::default(),
            let_go: Notify::default(),
        }))
    }
}

#[async_trait]
impl Front for HoldsBack {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        let is_first = (self.is_of_kind)(&query) && !self.has_looked.swap(true, Ordering::SeqCst);
        let answer = self.model.read(query).await;
        if is_first {
            self.looked.notify_one();
            self.let_go.notified().await;
        }
        answer
    }
}
