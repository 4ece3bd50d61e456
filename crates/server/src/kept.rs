//! An answer of which nothing bounds how long it takes to read, kept for the longer the longer that took: however often it is
//! asked for, a known part of the database's time goes into it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

/// What takes less is read each time: who asks behind a change sees it.
const READ_EACH_TIME: Duration = Duration::from_millis(100);
/// So many times as long as it took to read it may be told.
const TOLD_FOR: u32 = 10;

pub(crate) struct Kept<T>(Mutex<Option<Read<T>>>);

struct Read<T> {
    answer: Arc<T>,
    /// Of which database.
    of: Incarnation,
    until: Instant,
}

/// See [`taskyard_core::store::Store::incarnation`].
type Incarnation = [u8; 16];

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Kept<T> {
    /// Waits for whoever reads it now, who may answer this one too.
    pub(crate) async fn turn(&self) -> Turn<'_, T> {
        Turn(self.0.lock().await)
    }
}

/// Held by the only one who reads it.
pub(crate) struct Turn<'a, T>(MutexGuard<'a, Option<Read<T>>>);

impl<T> Turn<'_, T> {
    /// What is kept of this database, or else what `read` answers.
    pub(crate) async fn answer<E>(
        mut self,
        of: Incarnation,
        read: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, E> {
        let began = Instant::now();
        let is_told = |kept: &&Read<T>| kept.of == of && began < kept.until;
        if let Some(kept) = self.0.as_ref().filter(is_told) {
            return Ok(Arc::clone(&kept.answer));
        }
        let answer = Arc::new(read.await?);
        let now = Instant::now();
        let took = now - began;
        *self.0 = (took >= READ_EACH_TIME).then(|| Read {
            answer: Arc::clone(&answer),
            of,
            until: now + took * TOLD_FOR,
        });
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const OF: Incarnation = [1; 16];

    #[tokio::test(start_paused = true)]
    async fn what_took_long_is_told_for_ten_times_as_long_and_what_did_not_is_read_each_time() {
        for (took, is_kept) in [(99 * MS, false), (200 * MS, true)] {
            let (kept, reads) = (Kept::default(), Cell::new(0));
            let ask = async || {
                let read = async {
                    tokio::time::sleep(took).await;
                    reads.set(reads.get() + 1);
                    Ok::<_, ()>(reads.get())
                };
                *kept.turn().await.answer(OF, read).await.unwrap()
            };

            // The second came while the first was read.
            let (first, second) = tokio::join!(ask(), ask());
            assert_eq!((first, second), if is_kept { (1, 1) } else { (1, 2) });
            let before = reads.get();
            tokio::time::advance(took * 10 - MS).await;
            assert_eq!(ask().await == before, is_kept);
            let before = reads.get();
            tokio::time::advance(took * 11).await;
            assert_eq!(ask().await, before + 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_read_is_read_again() {
        let kept = Kept::default();
        let slowly = async |answer: Result<u8, &'static str>| {
            tokio::time::sleep(200 * MS).await;
            answer
        };

        let failed = kept.turn().await.answer(OF, slowly(Err("no"))).await;
        assert_eq!(failed, Err("no"));
        let answered = kept.turn().await.answer(OF, slowly(Ok(7))).await;
        assert_eq!(answered.as_deref(), Ok(&7));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_of_a_database_that_was_emptied_since_is_told_no_more() {
        let kept = Kept::default();
        let slowly = async |answer: u8| {
            tokio::time::sleep(200 * MS).await;
            Ok::<_, ()>(answer)
        };
        kept.turn().await.answer(OF, slowly(7)).await.unwrap();

        let emptied = kept.turn().await.answer([2; 16], slowly(0)).await;

        assert_eq!(emptied.as_deref(), Ok(&0));
    }
}
