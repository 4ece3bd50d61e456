//! Every change of state is a command. What each needs and decides stands in its own file under [`crate::verbs`].

use hashbrown::HashSet;

use crate::lane::{Heads, LaneKey, Lanes};
use crate::needs::Needs;
use crate::policy::Policy;
use crate::queue::Queues;
use crate::random::Random;
use crate::refused::Refused;
use crate::store;
use crate::time::Timestamp;
use crate::verbs::cancel::{Cancel, Cancelled};
use crate::verbs::cancel_operation::{CancelOperation, OperationCancelled};
use crate::verbs::claim::{Claims, Dealt};
use crate::verbs::clear::{Clear, Cleared};
use crate::verbs::discard::{Discard, Discarded};
use crate::verbs::drain::{Drain, Drained};
use crate::verbs::expire::{Expire, Expired};
use crate::verbs::forget::{Forget, Forgotten};
use crate::verbs::free::{Free, Freed};
use crate::verbs::heartbeat::{Beaten, Heartbeat};
use crate::verbs::join::{Join, Joined};
use crate::verbs::kill::{Kill, Killed};
use crate::verbs::leave::{Leave, Left};
use crate::verbs::operate::{Operate, Operated};
use crate::verbs::patch::{Patch, Patched};
use crate::verbs::proceed::{Piece, Proceed, Proceeded};
use crate::verbs::promote::{Promote, Promoted};
use crate::verbs::prune::{Prune, Pruned};
use crate::verbs::register::{Register, Registered};
use crate::verbs::report::{Report, ReportedBack};
use crate::verbs::set_queue::{QueueSet, SetQueue};
use crate::verbs::start::{Start, Started};
use crate::verbs::submit::{Made, NewTask, Submit, Submitted};
use crate::verbs::tally::{Tallied, Tally};
use crate::view::View;

/// All that a rule may know besides the rows.
pub struct Env<'a> {
    /// The store's time of this batch.
    pub now: Timestamp,
    pub policy: &'a Policy,
    pub lanes: &'a Lanes,
    pub heads: &'a Heads,
    pub queues: &'a Queues,
    /// They were counted a moment ago, and there was no room for one more.
    pub workers_full: bool,
    pub random: &'a mut dyn Random,
}

macro_rules! commands {
    ($($verb:ident => $done:ident),* $(,)?) => {
        #[derive(Clone, Debug)]
        pub enum Command { $($verb($verb)),* }

        /// What a command that was not refused did.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Done { $($verb($done)),* }

        $(
            impl From<$verb> for Command {
                fn from(verb: $verb) -> Self { Self::$verb(verb) }
            }

            impl TryFrom<Done> for $done {
                type Error = Done;
                fn try_from(done: Done) -> Result<Self, Done> {
                    match done { Done::$verb(done) => Ok(done), other => Err(other) }
                }
            }
        )*

        impl Command {
            /// The verb, for logs.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$verb(_) => stringify!($verb)),* }
            }

            fn needs(&self, needs: &mut Needs, env: &Env<'_>) {
                match self { $(Self::$verb(verb) => verb.needs(needs, env)),* }
            }

            fn more(&self, view: &View, needs: &mut Needs, env: &Env<'_>) {
                match self { $(Self::$verb(verb) => verb.more(view, needs, env)),* }
            }

            fn decide(&self, view: &mut View, env: &mut Env<'_>) -> Reply {
                match self { $(Self::$verb(verb) => verb.decide(view, env).map(Done::$verb)),* }
            }
        }
    };
}

commands! {
    Submit => Submitted,
    Claims => Dealt,
    Start => Started,
    Heartbeat => Beaten,
    Report => ReportedBack,
    Cancel => Cancelled,
    Patch => Patched,
    SetQueue => QueueSet,
    Operate => Operated,
    Proceed => Proceeded,
    CancelOperation => OperationCancelled,
    Clear => Cleared,
    Register => Registered,
    Drain => Drained,
    Kill => Killed,
    Join => Joined,
    Leave => Left,
    Tally => Tallied,
    Promote => Promoted,
    Expire => Expired,
    Discard => Discarded,
    Prune => Pruned,
    Forget => Forgotten,
    Free => Freed,
}

pub type Reply = Result<Done, Refused>;

/// What became of one command: the rules' reply, or why there is none.
pub type Answer = Result<Reply, store::Error>;

/// The rows that these commands need, as far as they can say beforehand.
pub fn needs(commands: &[Command], env: &Env<'_>) -> Needs {
    let mut needs = Needs::default();
    for command in commands {
        command.needs(&mut needs, env);
    }
    needs.tidy();
    needs
}

/// What the loaded rows ask for besides; empty on the hot path, and once everything is there.
pub fn more(commands: &[Command], view: &View, env: &Env<'_>) -> Needs {
    let mut needs = Needs::default();
    for command in commands {
        command.more(view, &mut needs, env);
    }
    needs.tidy();
    needs
}

/// Decides the commands in their order, each when its reply is taken.
pub fn decide(
    commands: &[Command],
    view: &mut View,
    env: &mut Env<'_>,
) -> impl Iterator<Item = Reply> {
    commands.iter().map(|command| command.decide(view, env))
}

impl Command {
    /// The tasks that it makes.
    pub fn new_tasks(&self) -> &[NewTask] {
        match self {
            Self::Submit(submit) => &submit.tasks,
            Self::Proceed(Proceed {
                piece: Piece::Retry(tasks),
                ..
            }) => tasks,
            Self::Claims(_)
            | Self::Start(_)
            | Self::Heartbeat(_)
            | Self::Report(_)
            | Self::Cancel(_)
            | Self::Patch(_)
            | Self::SetQueue(_)
            | Self::Operate(_)
            | Self::Proceed(_)
            | Self::CancelOperation(_)
            | Self::Clear(_)
            | Self::Register(_)
            | Self::Drain(_)
            | Self::Kill(_)
            | Self::Join(_)
            | Self::Leave(_)
            | Self::Tally(_)
            | Self::Promote(_)
            | Self::Expire(_)
            | Self::Discard(_)
            | Self::Prune(_)
            | Self::Forget(_)
            | Self::Free(_) => &[],
        }
    }
}

/// A command that is about several things can be run in parts: where one of them makes it fail, the others go on. What
/// is picked by the database cannot: the first rows would be picked again, so whoever asks for it asks for less.
impl Command {
    /// The same in two halves; `None` for what cannot be split.
    pub fn halves(&self) -> Option<[Self; 2]> {
        match self {
            Self::Claims(claims) => claims.halves().map(|halves| halves.map(Self::Claims)),
            Self::Expire(expire) => expire.halves().map(|halves| halves.map(Self::Expire)),
            Self::Discard(discard) => discard.halves().map(|halves| halves.map(Self::Discard)),
            Self::Forget(forget) => forget.halves().map(|halves| halves.map(Self::Forget)),
            Self::Kill(kill) => kill.halves().map(|halves| halves.map(Self::Kill)),
            Self::Free(free) => free.halves().map(|halves| halves.map(Self::Free)),
            Self::Clear(clear) => clear.halves().map(|halves| halves.map(Self::Clear)),
            Self::Tally(tally) => tally.halves().map(|halves| halves.map(Self::Tally)),
            Self::Report(report) => report.halves().map(|halves| halves.map(Self::Report)),
            Self::Heartbeat(heartbeat) => {
                heartbeat.halves().map(|halves| halves.map(Self::Heartbeat))
            }
            Self::Submit(_)
            | Self::Start(_)
            | Self::Cancel(_)
            | Self::Patch(_)
            | Self::SetQueue(_)
            | Self::Operate(_)
            | Self::Proceed(_)
            | Self::CancelOperation(_)
            | Self::Register(_)
            | Self::Drain(_)
            | Self::Join(_)
            | Self::Leave(_)
            | Self::Promote(_)
            | Self::Prune(_) => None,
        }
    }

    /// Whether the answer tells of each part what became of it, so that one can be sent again without the others.
    pub fn tells_parts_apart(&self) -> bool {
        matches!(self, Self::Claims(_) | Self::Report(_) | Self::Heartbeat(_))
    }

    /// What is answered for a part that failed alone, beside the others.
    ///
    /// # Panics
    /// If it is no part that [`Command::halves`] made.
    pub fn failed_part(&self, error: &store::Error) -> Done {
        match self {
            Self::Claims(claims) => Done::Claims(claims.failed_part(error)),
            Self::Expire(_) => Done::Expire(Expired::default()),
            Self::Kill(_) => Done::Kill(Killed::nothing()),
            Self::Discard(_) => Done::Discard(Discarded { count: 0 }),
            Self::Forget(_) => Done::Forget(Forgotten::default()),
            Self::Free(_) => Done::Free(Freed { count: 0 }),
            Self::Clear(_) => Done::Clear(Cleared { count: 0 }),
            Self::Tally(_) => Done::Tally(Tallied { rows: 0 }),
            Self::Report(report) => Done::Report(report.failed_part()),
            Self::Heartbeat(heartbeat) => Done::Heartbeat(heartbeat.failed_part()),
            other => unreachable!("{} has no parts", other.name()),
        }
    }
}

impl Done {
    /// Whether it made the task that stands there among the command's [`Command::new_tasks`].
    pub fn has_made(&self, at: usize) -> bool {
        match self {
            Self::Submit(submitted) => matches!(submitted.made.get(at), Some(Made::Now(_))),
            Self::Proceed(proceeded) => proceeded.made.get(at) == Some(&true),
            Self::Claims(_)
            | Self::Start(_)
            | Self::Heartbeat(_)
            | Self::Report(_)
            | Self::Cancel(_)
            | Self::Patch(_)
            | Self::SetQueue(_)
            | Self::Operate(_)
            | Self::CancelOperation(_)
            | Self::Clear(_)
            | Self::Register(_)
            | Self::Drain(_)
            | Self::Kill(_)
            | Self::Join(_)
            | Self::Leave(_)
            | Self::Tally(_)
            | Self::Promote(_)
            | Self::Expire(_)
            | Self::Discard(_)
            | Self::Prune(_)
            | Self::Forget(_)
            | Self::Free(_) => false,
        }
    }

    /// Adds the answer to the part behind this one.
    ///
    /// # Panics
    /// If they are not of one command.
    pub fn join(&mut self, more: Self) {
        match (self, more) {
            (Self::Claims(one), Self::Claims(more)) => one.hands.extend(more.hands),
            (Self::Expire(one), Self::Expire(more)) => {
                one.tasks.extend(more.tasks);
                one.silent.extend(more.silent);
            }
            (Self::Kill(one), Self::Kill(more)) => one.join(more),
            (Self::Discard(one), Self::Discard(more)) => one.count += more.count,
            (Self::Forget(one), Self::Forget(more)) => one.join(more),
            (Self::Free(one), Self::Free(more)) => one.count += more.count,
            (Self::Clear(one), Self::Clear(more)) => one.count += more.count,
            (Self::Tally(one), Self::Tally(more)) => one.rows += more.rows,
            (Self::Report(one), Self::Report(more)) => one.join(more),
            (Self::Heartbeat(one), Self::Heartbeat(more)) => one.join(more),
            (one, more) => unreachable!("{more:?} is no part of {one:?}"),
        }
    }
}

/// Two halves of what can be split.
pub(crate) fn halves<T: Clone>(items: &[T]) -> Option<[Vec<T>; 2]> {
    let (first, second) = items.split_at(items.len() / 2);
    (!first.is_empty()).then(|| [first.to_vec(), second.to_vec()])
}

/// How many lanes besides the known ones these commands may put tasks into.
pub fn lanes_besides(commands: &[Command], known: &Lanes) -> usize {
    let tasks = commands.iter().flat_map(Command::new_tasks);
    let lanes = tasks.map(|task| &task.lane);
    let unknown: HashSet<&LaneKey> = lanes.filter(|lane| known.number(lane).is_none()).collect();
    unknown.len()
}
