//! Every change of state is a command. What each needs and decides stands in its own file under [`crate::verbs`].

use hashbrown::HashSet;

use crate::lane::{Heads, LaneKey, Lanes};
use crate::needs::Needs;
use crate::policy::Policy;
use crate::random::Random;
use crate::refused::Refused;
use crate::store;
use crate::time::Timestamp;
use crate::verbs::cancel::{Cancel, Cancelled};
use crate::verbs::claim::{Claims, Dealt};
use crate::verbs::expire::{Expire, Expired};
use crate::verbs::forget::{Forget, Forgotten};
use crate::verbs::heartbeat::{Beaten, Heartbeat};
use crate::verbs::join::{Join, Joined};
use crate::verbs::promote::{Promote, Promoted};
use crate::verbs::prune::{Prune, Pruned};
use crate::verbs::register::{Register, Registered};
use crate::verbs::report::{Report, ReportedBack};
use crate::verbs::start::{Start, Started};
use crate::verbs::submit::{Submit, Submitted};
use crate::view::View;

/// All that a rule may know besides the rows.
pub struct Env<'a> {
    /// The store's time of this batch.
    pub now: Timestamp,
    pub policy: &'a Policy,
    pub lanes: &'a Lanes,
    pub heads: &'a Heads,
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
    Register => Registered,
    Join => Joined,
    Promote => Promoted,
    Expire => Expired,
    Prune => Pruned,
    Forget => Forgotten,
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

/// How many lanes besides the known ones these commands may put tasks into.
pub fn lanes_besides(commands: &[Command], known: &Lanes) -> usize {
    let submits = commands.iter().filter_map(|command| match command {
        Command::Submit(submit) => Some(submit),
        _ => None,
    });
    let lanes = submits.flat_map(|submit| submit.tasks.iter().map(|task| &task.lane));
    let unknown: HashSet<&LaneKey> = lanes.filter(|lane| known.number(lane).is_none()).collect();
    unknown.len()
}
