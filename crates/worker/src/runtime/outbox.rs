//! Results that have not arrived: kept in order, sent many at a time, sent again until the server has answered each.
//!
//! There are never more than the worker has slots, since a slot is free only when its result has arrived. A call that
//! is refused as a whole does not say which result it was, so its results go again in halves, until the bad one stands
//! alone and is replaced by one that says so.

use std::collections::VecDeque;

use serde_json::value::RawValue;
use taskyard_api::report::RunResult;

use super::limits::{FRAME_BYTES, Limits};
use super::verdict;

/// How many results go in one call, where the server takes as many.
const BATCH_MAX: usize = 1000;

/// While more bytes than this wait, the worker takes no new tasks.
const KEPT_BYTES_MAX: usize = 64 << 20;

#[derive(Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Entry>,
    bytes: usize,
}

struct Entry {
    result: RunResult,
    mark: Mark,
}

/// What came of earlier tries to send a result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// With how many it may go in one call, itself included.
    together: usize,
}

impl Mark {
    const FRESH: Self = Self {
        together: BATCH_MAX,
    };
}

/// What goes in one call: the results, and a mark for each.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) results: Vec<RunResult>,
    pub(super) marks: Vec<Mark>,
}

impl Batch {
    pub(super) fn push(&mut self, result: RunResult, mark: Mark) {
        self.results.push(result);
        self.marks.push(mark);
    }
}

impl Outbox {
    pub(super) fn push(&mut self, result: RunResult) {
        self.bytes += bytes(&result);
        self.waiting.push_back(Entry {
            result,
            mark: Mark::FRESH,
        });
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Too much waits already to take on more.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > KEPT_BYTES_MAX
    }

    /// The next results were in a call that was refused, so they go in one of their own.
    pub(super) fn is_suspect(&self) -> bool {
        self.waiting
            .front()
            .is_some_and(|entry| entry.mark.together < BATCH_MAX)
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = &RunResult> {
        self.waiting.iter().map(|entry| &entry.result)
    }

    /// The first results, as many as may go together. One goes alone, whatever its size.
    pub(super) fn take_batch(&mut self, limits: &Limits) -> Batch {
        let mut batch = Batch::default();
        let (mut together, mut room) = (limits.runs, limits.call_bytes);
        while let Some(next) = self.waiting.front() {
            let size = bytes(&next.result);
            together = together.min(next.mark.together);
            let fits = batch.results.len() < together && size <= room;
            if !fits && !batch.results.is_empty() {
                break;
            }
            room = room.saturating_sub(size);
            self.bytes -= size;
            if let Some(Entry { result, mark }) = self.waiting.pop_front() {
                batch.push(result, mark);
            }
        }
        batch
    }

    /// Puts back, to the front, what was not answered.
    pub(super) fn put_back(&mut self, batch: Batch) {
        let entries = batch.results.into_iter().zip(batch.marks);
        for (result, mark) in entries.rev() {
            self.bytes += bytes(&result);
            self.waiting.push_front(Entry { result, mark });
        }
    }

    /// Puts back what was refused as a whole, to go in halves. Answers a result that stood alone and has nothing left
    /// to be left out.
    pub(super) fn split(&mut self, batch: Batch, too_large: bool, why: &str) -> Option<RunResult> {
        let half = batch.results.len() / 2;
        if half > 0 {
            let marks = vec![Mark { together: half }; batch.results.len()];
            self.put_back(Batch { marks, ..batch });
            return None;
        }
        let alone = batch.results.into_iter().next()?;
        self.reduce(alone, too_large, why)
    }

    /// Puts a result that says so in the place of one that does not fit the server's limits. Gives it back if there is
    /// nothing left to leave out.
    pub(super) fn reduce(
        &mut self,
        mut result: RunResult,
        too_large: bool,
        why: &str,
    ) -> Option<RunResult> {
        if !verdict::reduce(&mut result, too_large, why) {
            return Some(result);
        }
        tracing::warn!(task.id = %result.task_id, "a result does not fit and is reported without what is long of it: {why}");
        self.push(result);
        None
    }
}

fn bytes(result: &RunResult) -> usize {
    let of = |payload: &Option<Box<RawValue>>| payload.as_ref().map_or(0, |raw| raw.get().len());
    let error = result.error.as_ref();
    let message = error.map_or(0, |error| error.message.len() + of(&error.detail));
    FRAME_BYTES + of(&result.output) + message
}

#[cfg(test)]
mod tests {
    use taskyard_api::report::Said;
    use taskyard_core::id::TaskId;
    use taskyard_core::time::Timestamp;

    use super::*;

    fn outbox(sizes: &[usize]) -> Outbox {
        let mut outbox = Outbox::default();
        for (number, size) in (0..).zip(sizes) {
            let output = format!("\"{}\"", "x".repeat(*size));
            outbox.push(RunResult {
                output: Some(RawValue::from_string(output).unwrap()),
                ..RunResult::new(
                    TaskId::new(Timestamp::from_micros(number * 1000), 0),
                    number.to_string(),
                    Said::Completed,
                )
            });
        }
        outbox
    }

    fn tokens(batch: &Batch) -> Vec<&str> {
        let results = batch.results.iter();
        results.map(|result| result.lease_token.as_str()).collect()
    }

    #[test]
    fn a_batch_ends_before_its_bytes_run_out_and_a_long_result_goes_alone() {
        let whole = Limits::default().call_bytes;
        let mut outbox = outbox(&[1, whole / 2, whole / 2, 2 * whole, 1]);

        assert_eq!(tokens(&outbox.take_batch(&Limits::default())), ["0", "1"]);
        assert_eq!(tokens(&outbox.take_batch(&Limits::default())), ["2"]);
        assert_eq!(tokens(&outbox.take_batch(&Limits::default())), ["3"]);
        assert_eq!(tokens(&outbox.take_batch(&Limits::default())), ["4"]);
        assert!(outbox.is_empty());
        assert_eq!(outbox.bytes, 0);
    }

    #[test]
    fn what_is_put_back_goes_first_and_in_its_order() {
        let mut outbox = outbox(&[1, 1]);
        let batch = outbox.take_batch(&Limits::default());
        outbox.push(RunResult::new(
            TaskId::new(Timestamp::from_micros(9000), 0),
            "9",
            Said::Completed,
        ));

        outbox.put_back(batch);

        assert_eq!(
            tokens(&outbox.take_batch(&Limits::default())),
            ["0", "1", "9"]
        );
    }

    #[test]
    fn a_bad_result_is_found_in_halves_and_replaced() {
        let mut outbox = outbox(&[1; 8]);
        let (mut taken, mut calls) = (Vec::new(), 0);
        while !outbox.is_empty() {
            let batch = outbox.take_batch(&Limits::default());
            calls += 1;
            let is_bad = |result: &RunResult| result.lease_token == "5" && result.output.is_some();
            if batch.results.iter().any(is_bad) {
                assert!(outbox.split(batch, true, "8 MiB at most").is_none());
            } else {
                taken.extend(batch.results);
            }
        }

        assert_eq!(taken.len(), 8);
        assert!(calls <= 8, "{calls} calls");
        let bad = taken
            .iter()
            .find(|result| result.lease_token == "5")
            .unwrap();
        assert_eq!((bad.outcome, bad.retry), (Said::Failed, Some(false)));
        let error = bad.error.as_ref().unwrap();
        assert_eq!(error.code, "output_too_large");
        assert!(error.message.contains("8 MiB at most"));
    }
}
