//! Requests that may be sent again: what the caller's key stands for already, and what it stands for from now on.

use std::sync::Arc;

use crate::command::Env;
use crate::id::TaskId;
use crate::refused::Refused;
use crate::rows::{Digest, Idempotency, IdempotencyKey};
use crate::view::View;

/// The caller's key for a request, and the request's digest.
type Once = (IdempotencyKey, Digest);

/// What an earlier sending of this request made. A key that is too old may still have its row, but what it stood for may
/// be gone.
pub(super) fn known<'a>(
    once: Option<&Once>,
    view: &'a View,
    env: &Env<'_>,
) -> Result<Option<&'a Arc<[TaskId]>>, Refused> {
    let Some((key, digest)) = once else {
        return Ok(None);
    };
    let row = view.idempotency.get(key);
    match row.filter(|row| env.now < row.created_at + env.policy.key_life) {
        None => Ok(None),
        Some(row) if row.digest == *digest => Ok(Some(&row.made)),
        Some(_) => Err(Refused::KeyReused),
    }
}

pub(super) fn keep(once: Option<&Once>, made: Arc<[TaskId]>, view: &mut View, env: &Env<'_>) {
    if let Some((key, digest)) = once {
        let row = Idempotency {
            key: key.clone(),
            digest: *digest,
            made,
            created_at: env.now,
        };
        view.idempotency.put(key.clone(), row);
    }
}
