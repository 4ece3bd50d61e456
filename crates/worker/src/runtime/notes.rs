//! What runs leave word of: kept here, the latest of each kind, until a heartbeat takes it along.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::value::RawValue;
use taskyard_api::task::Progress;
use tokio::sync::Notify;

use crate::executor::Reports;

/// The longest checkpoint that servers keep, in bytes.
const CHECKPOINT_BYTES_MAX: usize = 64 << 10;

/// The longest message beside a progress, in characters; the rest is cut off.
const MESSAGE_CHARS_MAX: usize = 1000;

/// One run's notes. Writing wakes the runtime.
pub(super) struct Notes {
    kept: Mutex<Kept>,
    wake: Arc<Notify>,
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
    pub(super) fn new(wake: Arc<Notify>) -> Self {
        Self {
            kept: Mutex::default(),
            wake,
        }
    }

    pub(super) fn has_news(&self) -> bool {
        let kept = self.kept.lock();
        kept.news.progress.is_some() || kept.news.checkpoint.is_some()
    }

    pub(super) fn has_checkpoint(&self) -> bool {
        self.kept.lock().news.checkpoint.is_some()
    }

    /// Takes what there is. A checkpoint of more than `room` bytes is left for the next time.
    pub(super) fn take(&self, room: usize) -> News {
        let mut kept = self.kept.lock();
        let fits = kept
            .news
            .checkpoint
            .as_ref()
            .is_some_and(|checkpoint| checkpoint.get().len() <= room);
        News {
            progress: kept.news.progress.take(),
            checkpoint: if fits {
                kept.news.checkpoint.take()
            } else {
                None
            },
        }
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
        let progress = Progress {
            fraction: (!fraction.is_nan()).then(|| fraction.clamp(0.0, 1.0)),
            message: message.map(|message| message.chars().take(MESSAGE_CHARS_MAX).collect()),
        };
        let mut kept = self.kept.lock();
        if kept.said.as_ref() != Some(&progress) {
            kept.said = Some(progress.clone());
            kept.news.progress = Some(progress);
            self.wake.notify_one();
        }
    }

    fn checkpoint(&self, state: Box<RawValue>) {
        let bytes = state.get().len();
        if bytes > CHECKPOINT_BYTES_MAX {
            // The one before it is still better than none.
            tracing::warn!(
                bytes,
                "a checkpoint is too long to be kept; at most {CHECKPOINT_BYTES_MAX} bytes are"
            );
            return;
        }
        self.kept.lock().news.checkpoint = Some(state);
        self.wake.notify_one();
    }
}
