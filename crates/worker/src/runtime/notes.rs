//! What runs leave word of: kept here, the latest of each kind, until a heartbeat takes it along. Their logs go their own
//! way ([`Log`]).

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::value::RawValue;
use taskyard_api::logs::Stream;
use taskyard_api::task::Progress;
use tokio::sync::{Notify, watch};

use super::limits::Limits;
use super::log::Log;
use crate::executor::Reports;

/// One run's notes. Writing wakes the runtime.
pub(super) struct Notes {
    kept: Mutex<Kept>,
    wake: Arc<Notify>,
    limits: watch::Receiver<Limits>,
    log: Arc<Log>,
}

#[derive(Default)]
struct Kept {
    news: News,
    /// What was said last, sent or not: the same again is no news.
    said: Option<Progress>,
}

/// What the server has not been told yet.
#[derive(Default)]
pub(super) struct News {
    pub(super) progress: Option<Progress>,
    pub(super) checkpoint: Option<Box<RawValue>>,
}

impl Notes {
    pub(super) fn new(wake: Arc<Notify>, limits: watch::Receiver<Limits>, log: Arc<Log>) -> Self {
        Self {
            kept: Mutex::default(),
            wake,
            limits,
            log,
        }
    }

    pub(super) fn has_news(&self) -> bool {
        let kept = self.kept.lock();
        kept.news.progress.is_some() || kept.news.checkpoint.is_some()
    }

    pub(super) fn has_checkpoint(&self) -> bool {
        self.kept.lock().news.checkpoint.is_some()
    }

    /// Takes what there is.
    pub(super) fn take(&self) -> News {
        std::mem::take(&mut self.kept.lock().news)
    }

    /// Puts back what did not arrive, unless there is something newer.
    pub(super) fn put_back(&self, news: News) {
        let mut kept = self.kept.lock();
        kept.news.progress = kept.news.progress.take().or(news.progress);
        kept.news.checkpoint = kept.news.checkpoint.take().or(news.checkpoint);
    }
}

impl Reports for Notes {
    fn progress(&self, fraction: f64, message: Option<&str>) {
        let max = self.limits.borrow().message_bytes;
        let progress = Progress {
            fraction: (!fraction.is_nan()).then(|| fraction.clamp(0.0, 1.0)),
            message: message.map(|message| message[..message.floor_char_boundary(max)].to_owned()),
        };
        let mut kept = self.kept.lock();
        if kept.said.as_ref() != Some(&progress) {
            kept.said = Some(progress.clone());
            kept.news.progress = Some(progress);
            self.wake.notify_one();
        }
    }

    fn checkpoint(&self, state: Box<RawValue>) {
        let (bytes, max) = (state.get().len(), self.limits.borrow().checkpoint_bytes);
        if bytes > max {
            // The one before it is still better than none.
            tracing::warn!(
                bytes,
                "a checkpoint is too long to be kept; the server takes {max} bytes (--checkpoint-max)"
            );
            return;
        }
        self.kept.lock().news.checkpoint = Some(state);
        self.wake.notify_one();
    }

    fn log(&self, stream: Stream, line: &str) {
        self.log.push(stream, line);
    }
}
