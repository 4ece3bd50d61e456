//! Why a caller got no answer to its command.

use taskyard_core::refused::Refused;
use taskyard_core::store;

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The rules say no; nothing was changed, and asking again the same way will not help.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// More commands wait than the engine takes; later there may be room.
    #[error("too many commands wait; try again in a moment")]
    Busy,
    /// The server is stopping and takes nothing new.
    #[error("the server is stopping")]
    Stopping,
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A log cannot be written or shown, which concerns no task.
    #[error("logs: {0}")]
    Logs(store::Error),
}
