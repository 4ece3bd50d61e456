//! How much may wait for the database at once: by the number of commands, and by what they hold of memory.
//!
//! Whoever sends a command takes a place first, which travels with it until it is answered; a claim that finds nothing
//! gives its own back, since it waits for work then. So a database that stands still has this process grow no further,
//! however many callers come, and go again: their commands stay, and count.
//!
//! What keeps a worker's runs alive does not stand in line for that: each worker that is known has a place of its own
//! for one sign of life, and one for a heartbeat that brings no news. So it takes no more of these than there are
//! workers, and a worker that calls is heard however much others ask for.

use std::mem::size_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use taskyard_core::command::Command;
use taskyard_core::filter::Filter;
use taskyard_core::labels::Labels;
use taskyard_core::log::Line;
use taskyard_core::name::Name;
use taskyard_core::policy::Policy;
use taskyard_core::rows::{Failure, Progress};
use taskyard_core::verbs::claim::Claim;
use taskyard_core::verbs::heartbeat::{Heartbeat, Held};
use taskyard_core::verbs::report::{RunResult, Word};
use taskyard_core::verbs::submit::NewTask;
use taskyard_core::worker::Profile;

/// That part is not for submits, so that workers can say what became of their runs however much is submitted. As many
/// bytes again are for heartbeats in the places of their workers.
const RESERVED: usize = 8;
/// What a text, or an entry of a map, costs besides its bytes.
const ENTRY: usize = 64;

pub struct Room {
    commands_max: usize,
    bytes_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    submits: Size,
    others: Size,
    /// Bytes of what waits in the places of workers.
    own: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Size {
    commands: usize,
    bytes: usize,
}

impl Room {
    pub fn under(policy: &Policy) -> Arc<Self> {
        Arc::new(Self {
            commands_max: policy.commands_max,
            bytes_max: policy.commands_bytes_max,
            taken: Mutex::default(),
        })
    }

    /// How many commands have a place of the room, and how many bytes all of them hold, those in the places of workers
    /// too.
    pub fn taken(&self) -> (usize, usize) {
        let taken = self.taken.lock();
        let Taken {
            submits,
            others,
            own,
        } = &*taken;
        (
            submits.commands + others.commands,
            submits.bytes + others.bytes + own,
        )
    }

    /// None where there is none left.
    pub fn place(self: &Arc<Self>, command: &Command) -> Option<Place> {
        let whose = match command {
            Command::Submit(_) => Whose::Submit,
            _ => Whose::Other,
        };
        self.take(bytes_of(command), whose)
    }

    /// For lines of a log. Like submits they leave room for what workers say of their runs.
    pub fn place_for_lines(self: &Arc<Self>, lines: &[Line]) -> Option<Place> {
        let texts = lines.iter().map(|line| line.text.len()).sum::<usize>();
        self.take(size_of_val(lines) + texts, Whose::Submit)
    }

    pub fn place_for_claim(self: &Arc<Self>) -> Option<Place> {
        self.take(size_of::<Claim>(), Whose::Other)
    }

    pub fn place_for_heartbeat(self: &Arc<Self>, heartbeat: &Heartbeat) -> Option<Place> {
        let bytes = size_of::<Command>() + bytes_of_heartbeat(heartbeat);
        self.take(bytes, Whose::Other)
    }

    /// None while another of this kind waits for this worker.
    pub fn place_for_sign_of_life(self: &Arc<Self>, own: &OwnPlace) -> Option<Place> {
        self.take_own(0, own)
    }

    /// For a heartbeat that brings no news. None while another one of this worker waits, and where a great many runs are
    /// named by those that do.
    pub fn place_for_renewal(
        self: &Arc<Self>,
        heartbeat: &Heartbeat,
        own: &OwnPlace,
    ) -> Option<Place> {
        self.take_own(bytes_of_heartbeat(heartbeat), own)
    }

    /// As long as there is room left, a command is let in whatever its size: a large one would wait for ever for a hole
    /// that is large enough. So it is overdrawn by one command at most, of submits and of others.
    fn take(self: &Arc<Self>, bytes: usize, whose: Whose) -> Option<Place> {
        let Taken {
            submits, others, ..
        } = &mut *self.taken.lock();
        let is_submit = matches!(whose, Whose::Submit);
        let has_room = |max: usize, submits: usize, others: usize| {
            let (reserved, all) = (max / RESERVED, submits + others);
            if is_submit {
                all < max - reserved
            } else {
                all < max || others < reserved
            }
        };
        if !has_room(self.commands_max, submits.commands, others.commands)
            || !has_room(self.bytes_max, submits.bytes, others.bytes)
        {
            return None;
        }
        let part = if is_submit { submits } else { others };
        part.commands += 1;
        part.bytes += bytes;
        Some(self.given(bytes, whose))
    }

    fn take_own(self: &Arc<Self>, bytes: usize, own: &OwnPlace) -> Option<Place> {
        let mut taken = self.taken.lock();
        let is_full = bytes > 0 && taken.own >= self.bytes_max / RESERVED;
        if is_full || own.0.swap(true, Ordering::Relaxed) {
            return None;
        }
        taken.own += bytes;
        Some(self.given(bytes, Whose::Worker(own.clone())))
    }

    fn given(self: &Arc<Self>, bytes: usize, whose: Whose) -> Place {
        let room = Arc::clone(self);
        Place { room, bytes, whose }
    }
}

/// One worker's place for one kind of command.
#[derive(Clone, Default)]
pub struct OwnPlace(Arc<AtomicBool>);

/// One command's part of the room, or the place of its worker; given back when it is dropped.
pub struct Place {
    room: Arc<Room>,
    bytes: usize,
    whose: Whose,
}

enum Whose {
    Submit,
    Other,
    Worker(OwnPlace),
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = &mut *self.room.taken.lock();
        let part = match &self.whose {
            Whose::Submit => &mut taken.submits,
            Whose::Other => &mut taken.others,
            Whose::Worker(own) => {
                taken.own -= self.bytes;
                own.0.store(false, Ordering::Relaxed);
                return;
            }
        };
        part.commands -= 1;
        part.bytes -= self.bytes;
    }
}

/// About how much memory it holds, as far as its sender can make that much or little.
fn bytes_of(command: &Command) -> usize {
    let sent = match command {
        Command::Submit(submit) => submit.tasks.iter().map(bytes_of_task).sum(),
        Command::Report(report) => report.results.iter().map(bytes_of_result).sum(),
        Command::Heartbeat(heartbeat) => bytes_of_heartbeat(heartbeat),
        Command::Register(register) => bytes_of_profile(&register.profile),
        Command::Operate(operate) => bytes_of_filter(&operate.filter),
        Command::Start(_)
        | Command::Cancel(_)
        | Command::Patch(_)
        | Command::SetQueue(_)
        | Command::Drain(_)
        | Command::Kill(_)
        | Command::CancelOperation(_) => 0,
        // A claim takes its place before it is one of these, and the services take none.
        Command::Claims(_)
        | Command::Discard(_)
        | Command::Expire(_)
        | Command::Forget(_)
        | Command::Free(_)
        | Command::Proceed(_)
        | Command::Clear(_)
        | Command::Join(_)
        | Command::Leave(_)
        | Command::Promote(_)
        | Command::Prune(_)
        | Command::Tally(_) => 0,
    };
    size_of::<Command>() + sent
}

fn bytes_of_task(task: &NewTask) -> usize {
    let lane = &task.lane;
    let names = bytes_of_name(&lane.queue) + bytes_of_name(&lane.kind);
    let labels = bytes_of_entries(lane.demands.iter()) + bytes_of_labels(&task.labels);
    let key = task.unique_key.as_ref().map_or(0, |key| key.len());
    size_of::<NewTask>() + names + labels + key + task.input.len()
}

fn bytes_of_result(result: &RunResult) -> usize {
    let texts = |error: &Failure| error.code.len() + error.message.len();
    let said = match &result.word {
        Word::Failed { error, .. } | Word::TimedOut { error } => texts(error),
        Word::Completed { .. } | Word::Snoozed { .. } | Word::Released | Word::Unheard => 0,
    };
    size_of::<RunResult>() + said + result.payload_len()
}

fn bytes_of_heartbeat(heartbeat: &Heartbeat) -> usize {
    heartbeat.held.iter().map(bytes_of_held).sum()
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

fn bytes_of_filter(filter: &Filter) -> usize {
    let labels = filter.labels.iter().map(|(name, value)| (name, &**value));
    let search = filter
        .search
        .as_ref()
        .map_or(0, |search| search.as_str().len());
    let names = [&filter.kind, &filter.queue, &filter.worker];
    let names: usize = names.into_iter().flatten().map(bytes_of_name).sum();
    // The words of a search stand beside its text.
    bytes_of_entries(labels) + names + 2 * search
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
    use taskyard_core::id::{Fence, SlotKey, TaskId};
    use taskyard_core::json::Json;
    use taskyard_core::lane::LaneKey;
    use taskyard_core::time::Timestamp;
    use taskyard_core::verbs::cancel::Cancel;
    use taskyard_core::verbs::held::Token;
    use taskyard_core::verbs::submit::Submit;

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
        let task = NewTask::new(
            id(),
            LaneKey::of(Name::path("default").unwrap(), Name::path("echo").unwrap()),
            Json::stored("1".repeat(input)),
        );
        Submit::of(vec![task]).into()
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
    fn a_command_comes_in_whatever_its_size_while_there_is_room_left() {
        const INPUT: usize = 1000;
        let one = bytes_of(&submit(INPUT));
        assert_eq!(bytes_of(&submit(INPUT + 1)), one + 1);
        let room = room(100, 8 * one);

        let mut taken = places(&room, &submit(INPUT), 100);

        assert_eq!(taken.len(), 7);
        taken.pop();
        taken.extend(room.place(&submit(1 << 20)));
        assert_eq!(taken.len(), 7);
        assert!(room.place(&submit(1)).is_none());
        let others = places(&room, &cancel(), 100);
        assert_eq!(others.len(), one.div_ceil(bytes_of(&cancel())));
        drop((taken, others));
        assert_eq!(room.taken.lock().submits, Size::default());
        assert_eq!(room.taken.lock().others, Size::default());
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

    /// That names so many runs.
    fn heartbeat(runs: usize) -> Heartbeat {
        let held = Held {
            token: Token {
                slot: SlotKey::only(id()),
                fence: Fence(1),
                secret: 1,
            },
            running: true,
            progress: None,
            checkpoint: None,
        };
        Heartbeat {
            worker: Name::plain("w").unwrap(),
            epoch: None,
            held: vec![held; runs],
            leaves: false,
        }
    }

    #[test]
    fn each_worker_has_places_of_its_own_besides_the_room() {
        let room = room(1, RESERVED * bytes_of_heartbeat(&heartbeat(10)));
        let _full = room.place(&cancel()).unwrap();
        let workers: [OwnPlace; 3] = Default::default();
        let renewal = |worker: usize, runs| {
            let own = &workers[worker];
            room.place_for_renewal(&heartbeat(runs), own)
        };

        let first = renewal(0, 9);
        assert!(first.is_some());
        assert!(renewal(0, 1).is_none(), "one of its waits");
        let second = renewal(1, 1_000);
        assert!(second.is_some());
        assert!(renewal(2, 1).is_none(), "so many runs are named by others");
        assert!(room.place_for_sign_of_life(&workers[2]).is_some());
        assert!(renewal(2, 0).is_some());

        drop(second);
        assert!(renewal(2, 1).is_some());
        assert!(renewal(0, 1).is_none());
        drop(first);
        assert!(renewal(0, 1).is_some());
        assert_eq!(room.taken.lock().own, 0);
    }
}
