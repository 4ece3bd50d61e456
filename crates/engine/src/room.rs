//! How much may wait for the database at once: by the number of commands, and by what they hold of memory.
//!
//! Whoever sends a command takes a place first, which travels with it until it is answered; a claim that finds nothing
//! gives its own back, since it waits for work then. So a database that stands still has this process grow no further,
//! however many callers come, and go again: their commands stay, and count.

use std::mem::size_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use taskyard_core::command::Command;
use taskyard_core::labels::Labels;
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::rows::{Failure, Progress};
use taskyard_core::verbs::claim::Claim;
use taskyard_core::verbs::heartbeat::Held;
use taskyard_core::verbs::report::{RunResult, Word};
use taskyard_core::verbs::submit::NewTask;
use taskyard_core::worker::Profile;

/// That part is not for submits, so that workers can say what became of their runs however much is submitted.
const RESERVED: usize = 8;
/// What a text, or an entry of a map, costs besides its bytes.
const ENTRY: usize = 64;

pub(crate) struct Room {
    commands: Gauge,
    bytes: Gauge,
}

impl Room {
    pub(crate) fn under(policy: &Policy) -> Arc<Self> {
        Arc::new(Self {
            commands: Gauge::up_to(policy.commands_max),
            bytes: Gauge::up_to(policy.commands_bytes_max),
        })
    }

    /// None where there is none left.
    pub(crate) fn place(self: &Arc<Self>, command: &Command) -> Option<Place> {
        let is_submit = matches!(command, Command::Submit(_));
        self.take(bytes_of(command), is_submit)
    }

    pub(crate) fn place_for_claim(self: &Arc<Self>) -> Option<Place> {
        self.take(size_of::<Claim>(), false)
    }

    fn take(self: &Arc<Self>, bytes: usize, is_submit: bool) -> Option<Place> {
        if !self.commands.take(1, is_submit) {
            return None;
        }
        if !self.bytes.take(bytes, is_submit) {
            self.commands.give_back(1);
            return None;
        }
        let room = Arc::clone(self);
        Some(Place { room, bytes })
    }
}

/// One command's part of the room, given back when it is dropped.
pub(crate) struct Place {
    room: Arc<Room>,
    bytes: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.commands.give_back(1);
        self.room.bytes.give_back(self.bytes);
    }
}

struct Gauge {
    taken: AtomicUsize,
    max: usize,
}

impl Gauge {
    fn up_to(max: usize) -> Self {
        let taken = AtomicUsize::new(0);
        Self { taken, max }
    }

    /// Whether there was room for so many more. While nothing is taken there is, for one that is larger than all of it
    /// could never come in.
    fn take(&self, more: usize, is_submit: bool) -> bool {
        let reserved = if is_submit { self.max / RESERVED } else { 0 };
        let fits = |taken: usize| {
            let sum = taken.checked_add(more)?;
            (sum <= self.max - reserved || taken == 0).then_some(sum)
        };
        let taken = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        taken.is_ok()
    }

    fn give_back(&self, taken: usize) {
        self.taken.fetch_sub(taken, Ordering::Relaxed);
    }
}

/// About how much memory it holds, as far as its sender can make that much or little.
fn bytes_of(command: &Command) -> usize {
    let sent = match command {
        Command::Submit(submit) => submit.tasks.iter().map(bytes_of_task).sum(),
        Command::Report(report) => report.results.iter().map(bytes_of_result).sum(),
        Command::Heartbeat(heartbeat) => heartbeat.held.iter().map(bytes_of_held).sum(),
        Command::Register(register) => bytes_of_profile(&register.profile),
        Command::Start(_) | Command::Cancel(_) => 0,
        // They are the server's own, which take no room.
        Command::Claims(_)
        | Command::Expire(_)
        | Command::Forget(_)
        | Command::Join(_)
        | Command::Promote(_)
        | Command::Prune(_) => 0,
    };
    size_of::<Command>() + sent
}

fn bytes_of_task(task: &NewTask) -> usize {
    let lane = &task.lane;
    let names = bytes_of_name(&lane.queue) + bytes_of_name(&lane.kind);
    let labels = bytes_of_entries(lane.demands.iter()) + bytes_of_labels(&task.labels);
    size_of::<NewTask>() + names + labels + task.input.len()
}

fn bytes_of_result(result: &RunResult) -> usize {
    let texts = |error: &Failure| error.code.len() + error.message.len();
    let said = match &result.word {
        Word::Failed { error, .. } | Word::TimedOut { error } => texts(error),
        Word::Completed { .. } | Word::Snoozed { .. } | Word::Released => 0,
    };
    size_of::<RunResult>() + said + result.payload_len()
}

fn bytes_of_held(held: &Held) -> usize {
    let message =
        |progress: &Progress| progress.message.as_ref().map_or(0, |message| message.len());
    let progress = held.progress.as_ref().map_or(0, message);
    size_of::<Held>() + progress + held.payload_len()
}

fn bytes_of_profile(profile: &Profile) -> usize {
    let names = [&profile.kinds, &profile.queues].into_iter().flatten();
    let names = names.flatten().map(bytes_of_name).sum::<usize>();
    size_of::<Profile>() + names + bytes_of_labels(&profile.labels)
}

fn bytes_of_labels(labels: &Labels) -> usize {
    bytes_of_entries(labels.iter())
}

fn bytes_of_entries<'a>(entries: impl Iterator<Item = (&'a Name, &'a str)>) -> usize {
    entries
        .map(|(name, value)| bytes_of_name(name) + ENTRY + value.len())
        .sum()
}

fn bytes_of_name(name: &Name) -> usize {
    ENTRY + name.as_str().len()
}

#[cfg(test)]
mod tests {
    use taskyard_core::id::TaskId;
    use taskyard_core::json::Json;
    use taskyard_core::labels::Demands;
    use taskyard_core::lane::LaneKey;
    use taskyard_core::order::Priority;
    use taskyard_core::time::Timestamp;
    use taskyard_core::verbs::cancel::Cancel;
    use taskyard_core::verbs::submit::{Begin, Submit};

    use super::*;

    fn room(commands_max: usize, commands_bytes_max: usize) -> Arc<Room> {
        Room::under(&Policy {
            commands_max,
            commands_bytes_max,
            ..Policy::default()
        })
    }

    fn id() -> TaskId {
        TaskId::new(Timestamp::default(), 0)
    }

    fn cancel() -> Command {
        Cancel { task: id() }.into()
    }

    /// A task with an input of so many bytes.
    fn submit(input: usize) -> Command {
        let task = NewTask {
            id: id(),
            lane: LaneKey {
                queue: Name::path("default").unwrap(),
                kind: Name::path("echo").unwrap(),
                demands: Demands::default(),
            },
            priority: Priority::default(),
            begin: Begin::Now,
            input: Json::stored("1".repeat(input)),
            max_attempts: None,
            max_losses: None,
            timeout: None,
            retry: None,
            labels: Labels::default(),
            digest: None,
        };
        Submit {
            tasks: vec![task],
            once: None,
            again: false,
        }
        .into()
    }

    /// So many of these, as far as there is room.
    fn places(room: &Arc<Room>, command: &Command, wanted: usize) -> Vec<Place> {
        (0..wanted).map_while(|_| room.place(command)).collect()
    }

    #[test]
    fn submits_leave_an_eighth_to_others() {
        for (max, submits) in [(1, 1), (7, 7), (8, 7), (16, 14)] {
            let room = room(max, usize::MAX);

            let submitted = places(&room, &submit(1), max);
            let others = places(&room, &cancel(), max);

            assert_eq!((submitted.len(), others.len()), (submits, max - submits));
            drop(submitted);
            assert_eq!(places(&room, &cancel(), max).len(), submits);
        }
    }

    #[test]
    fn bytes_are_taken_to_the_last_one_and_given_back() {
        const INPUT: usize = 1000;
        let one = bytes_of(&submit(INPUT));
        assert_eq!(bytes_of(&submit(INPUT + 1)), one + 1);
        let room = room(100, 8 * one);

        let mut taken = places(&room, &submit(INPUT), 100);

        assert_eq!(taken.len(), 7);
        taken.pop();
        assert!(room.place(&submit(INPUT + 1)).is_none());
        taken.extend(room.place(&submit(INPUT)));
        assert_eq!(taken.len(), 7);
        taken.clear();
        assert_eq!(room.bytes.taken.load(Ordering::Relaxed), 0);
        assert_eq!(room.commands.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_that_is_larger_than_the_whole_room_comes_in_alone() {
        let room = room(100, 1);

        let large = room.place(&submit(1 << 20));

        assert!(large.is_some());
        assert!(room.place(&cancel()).is_none());
        drop(large);
        assert!(room.place(&cancel()).is_some());
    }
}
