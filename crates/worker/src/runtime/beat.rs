//! One call of a heartbeat: as many of the runs that are to be named as the server takes at once.

use std::collections::VecDeque;
use std::io;

use taskyard_api::worker::{Heartbeat, Held};
use taskyard_core::id::TaskId;

use super::limits::Limits;
use super::moment::Moment;
use super::notes::News;

/// A run that is to be named.
pub(super) struct Named {
    /// Its hand's; 0 where the run is over.
    pub(super) number: u64,
    pub(super) held: Held,
}

/// What goes in one call. A full one with no run is a sign of life.
pub(super) struct Beat {
    pub(super) heartbeat: Heartbeat,
    /// Of the runs that it names, in order.
    numbers: Vec<u64>,
    /// It is part of one that names all that the worker holds, and brings no news.
    pub(super) is_full: bool,
    /// When it was sent last.
    pub(super) sent: Option<Moment>,
}

impl Named {
    pub(super) fn new(number: u64, task_id: TaskId, lease_token: &str, running: bool) -> Self {
        let held = Held {
            task_id,
            lease_token: lease_token.to_owned(),
            running,
            progress: None,
            checkpoint: None,
        };
        Self { number, held }
    }

    pub(super) fn with(mut self, news: News) -> Self {
        self.held.progress = news.progress;
        self.held.checkpoint = news.checkpoint;
        self
    }

    /// How long it is as JSON.
    fn bytes(&self) -> usize {
        let mut counted = Counted(0);
        serde_json::to_writer(&mut counted, &self.held).expect("what counts takes everything");
        counted.0
    }
}

/// Each of no more runs and bytes than the server takes; a run goes alone, whatever its size. A full one is one call at
/// least.
pub(super) fn cut(named: Vec<Named>, is_full: bool, limits: &Limits) -> VecDeque<Beat> {
    let mut beats = VecDeque::new();
    let (mut beat, mut room) = (Beat::empty(is_full), limits.call_bytes);
    for named in named {
        let bytes = named.bytes();
        let fits = beat.len() < limits.runs && bytes <= room;
        if !fits && beat.len() > 0 {
            beats.push_back(std::mem::replace(&mut beat, Beat::empty(is_full)));
            room = limits.call_bytes;
        }
        room = room.saturating_sub(bytes);
        beat.push(named);
    }
    if is_full || beat.len() > 0 {
        beats.push_back(beat);
    }
    beats
}

impl Beat {
    fn empty(is_full: bool) -> Self {
        let heartbeat = Heartbeat {
            held: Vec::new(),
            epoch: None,
            leaves: false,
        };
        Self {
            heartbeat,
            numbers: Vec::new(),
            is_full,
            sent: None,
        }
    }

    fn push(&mut self, named: Named) {
        self.numbers.push(named.number);
        self.heartbeat.held.push(named.held);
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    fn named(&self) -> impl Iterator<Item = (&Held, u64)> {
        let held = self.heartbeat.held.iter();
        held.zip(self.numbers.iter().copied())
    }

    pub(super) fn into_named(self) -> impl Iterator<Item = Named> {
        let held = self.heartbeat.held.into_iter().zip(self.numbers);
        held.map(|(held, number)| Named { number, held })
    }

    /// The runs whose checkpoint it brings.
    pub(super) fn with_checkpoints(&self) -> impl Iterator<Item = u64> {
        let brings = self.named().filter(|(held, _)| held.checkpoint.is_some());
        brings.map(|(_, number)| number)
    }

    /// Which run it named of this task; none if that is over.
    pub(super) fn run_of(&self, task: TaskId) -> Option<u64> {
        let mut named = self.named();
        named
            .find(|(held, number)| held.task_id == task && *number != 0)
            .map(|(_, number)| number)
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = (TaskId, u64)> {
        self.named().map(|(held, number)| (held.task_id, number))
    }

    /// Its runs, each with whether the server now knows that it began.
    pub(super) fn told(&self) -> impl Iterator<Item = (TaskId, u64, bool)> {
        let named = self.named();
        named.map(|(held, number)| (held.task_id, number, held.running))
    }

    /// The same in two calls.
    pub(super) fn halves(mut self) -> [Self; 2] {
        let half = self.len() / 2;
        let others = Self {
            heartbeat: Heartbeat {
                held: self.heartbeat.held.split_off(half),
                epoch: None,
                leaves: false,
            },
            numbers: self.numbers.split_off(half),
            is_full: self.is_full,
            sent: None,
        };
        [self, others]
    }
}

/// Counts what is written and keeps nothing of it.
struct Counted(usize);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use taskyard_core::time::Timestamp;

    use super::*;

    fn named(number: u64, checkpoint: usize) -> Named {
        let task = TaskId::new(Timestamp::from_micros(0), u128::from(number));
        let checkpoint = format!("\"{}\"", "x".repeat(checkpoint));
        Named::new(number, task, "token", true).with(News {
            progress: None,
            checkpoint: Some(RawValue::from_string(checkpoint).unwrap()),
        })
    }

    /// The runs that each call names.
    fn calls(sizes: &[usize], limits: &Limits) -> Vec<Vec<u64>> {
        let named = (1..).zip(sizes).map(|(number, size)| named(number, *size));
        let beats = cut(named.collect(), true, limits);
        beats.into_iter().map(|beat| beat.numbers).collect()
    }

    #[test]
    fn a_heartbeat_is_cut_to_what_the_server_takes() {
        let of_two = Limits {
            runs: 2,
            ..Limits::default()
        };
        let bytes = named(1, 100).bytes();
        let of_bytes = Limits {
            call_bytes: 2 * bytes,
            ..Limits::default()
        };

        assert_eq!(calls(&[], &of_two), [Vec::<u64>::new()], "a sign of life");
        assert_eq!(calls(&[1, 1], &of_two), [vec![1, 2]]);
        assert_eq!(calls(&[1, 1, 1], &of_two), [vec![1, 2], vec![3]]);
        assert_eq!(calls(&[100; 3], &of_bytes), [vec![1, 2], vec![3]]);
        assert_eq!(calls(&[100, 101, 1], &of_bytes), [vec![1], vec![2, 3]]);
        assert_eq!(
            calls(&[1, 1000, 1], &of_bytes),
            [vec![1], vec![2], vec![3]],
            "a run goes alone, whatever its size"
        );
    }
}
