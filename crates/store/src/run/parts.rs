//! A batch that fails is halved until the command that is the cause stands alone: it fails, the others are committed.
//!
//! Only what a command can be the cause of is tried in parts, and each part that failed was undone before the next
//! one begins. Parts run in the order of their commands, so each command still sees what the ones before it did.
//! A command about several things, as a sweep's or all claims of a batch, is halved in the same way where it stands
//! alone, and its answers are joined again.
//!
//! The work is bounded. Each command that is bad costs two attempts a halving, so one in a thousand is found after 20
//! of them; n commands that all are bad cost 2n − 2. That takes a bug in the rules: where the database refuses
//! [`REFUSED_MAX`] commands without taking one between them, it may be broken for all, and the parts of which the rest
//! consists then, each about as long as all before it together, are tried as they are and not halved until it takes one.
//! So whoever sends what is good seldom pays for the others.
//! Nor are the parts of one command, for a sweep brings bad rows again and again until somebody mends them. Where
//! [`REFUSED_IN_A_ROW_MAX`] of them are refused without one that is not between them, it is gone on with once more, at
//! some place of the rest; where as many are refused there, what is left of the command is not tried. The place is
//! another one each time: the same bad ones may stand in front whenever that command comes, and what stands behind them
//! has to get through at some time.

use std::slice;

use taskyard_core::command::{Answer, Command, Done};
use taskyard_core::random::{Random, Seeded};
use taskyard_core::store::{Error, Ran};
use taskyard_core::time::Timestamp;
use taskyard_core::topic::Topic;

use crate::tx::Undone;

/// How many commands that stand alone the database may refuse one after the other before no more are looked for in what
/// it refuses.
const REFUSED_MAX: usize = 16;
/// How many parts of one command that stand alone the database may refuse one after the other before those behind them
/// are left: up to some other place the first time, to the end of the command the second.
const REFUSED_IN_A_ROW_MAX: usize = 64;

/// Why an attempt was undone.
pub(super) enum Failure {
    /// No command is to blame, or nobody knows what happened.
    Store(Error),
    /// The database refused what it was given, or a row of it cannot be read.
    Refused(Error),
    /// A row stands where another was to be put in, or those that were loaded do not fit each other. Another server may have
    /// come in between; but once this is tried in parts it is so load after load, and so for good.
    Unsettled(Error),
    /// The rules broke down.
    Panicked,
}

impl Failure {
    /// A task stands somewhere and is not there, or is there and stands nowhere.
    pub(super) fn disagreeing() -> Self {
        let reason = "rows of a task do not fit each other, however often they are loaded";
        Self::Unsettled(Error::Failed(reason.to_owned()))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            // To a command it is one of the ways in which the database fails it.
            Error::Unreadable(_) => Self::Refused(Error::Failed(error.to_string())),
            Error::Failed(_) => Self::Refused(error),
            Error::Unavailable(_)
            | Error::Unknown(_)
            | Error::Full
            | Error::Conflict
            | Error::Damaged(_) => Self::Store(error),
        }
    }
}

impl From<Undone> for Failure {
    fn from(undone: Undone) -> Self {
        match undone {
            Undone::Taken(reason) => Self::Unsettled(Error::Failed(reason)),
            Undone::Error(error) => error.into(),
        }
    }
}

/// What is tried at once.
pub(super) enum Part<'a> {
    Commands(&'a [Command]),
    /// Some of what one command is about. Its answer is joined to that of the pieces before it, if it is not the first.
    Piece {
        command: Command,
        is_first: bool,
    },
}

impl<'a> Part<'a> {
    pub(super) fn commands(&self) -> &[Command] {
        match self {
            Self::Commands(commands) => commands,
            Self::Piece { command, .. } => slice::from_ref(command),
        }
    }

    fn is_piece(&self) -> bool {
        matches!(self, Self::Piece { .. })
    }

    /// Of its first command.
    fn verb(&self) -> Option<&'static str> {
        self.commands().first().map(Command::name)
    }

    /// Whether it is one of several that are answered together. Each claim has an answer of its own.
    fn shares_its_answer(&self) -> bool {
        match self {
            Self::Commands(_) => false,
            Self::Piece { command, .. } => !matches!(command, Command::Claims(_)),
        }
    }

    /// `None` for what stands alone.
    fn halves(&self) -> Option<[Self; 2]> {
        match self {
            Self::Commands([command]) => pieces(command, true),
            Self::Commands(commands) => {
                let (first, second) = commands.split_at(commands.len() / 2);
                Some([Part::Commands(first), Part::Commands(second)])
            }
            Self::Piece { command, is_first } => pieces(command, *is_first),
        }
    }
}

fn pieces<'a>(command: &Command, is_first: bool) -> Option<[Part<'a>; 2]> {
    let [first, second] = command.halves()?;
    let piece = |command, is_first| Part::Piece { command, is_first };
    Some([piece(first, is_first), piece(second, false)])
}

/// The parts of one batch, and what became of those that have run.
pub(super) struct Parts<'a> {
    /// Those that have not, the first of them last.
    waiting: Vec<Part<'a>>,
    answers: Vec<Answer>,
    topics: Vec<Topic>,
    wrote: bool,
    /// How many commands stood alone and were refused by the database since it last took something. Each claim counts as
    /// one.
    refused: usize,
    /// How many parts of the command that is tried now were refused since the last one that was committed, or since the
    /// leap.
    refused_in_a_row: usize,
    /// It was gone on with at another place since its last part that was committed.
    has_leapt: bool,
    /// Says where.
    random: Seeded,
}

impl<'a> Parts<'a> {
    /// Of a batch that failed as a whole.
    pub(super) fn of(commands: &'a [Command], failure: Failure, random: &mut dyn Random) -> Self {
        let mut parts = Self {
            waiting: Vec::new(),
            answers: Vec::with_capacity(commands.len()),
            topics: Vec::new(),
            wrote: false,
            refused: 0,
            refused_in_a_row: 0,
            has_leapt: false,
            random: Seeded::new(random.bits()),
        };
        parts.failed(&Part::Commands(commands), failure);
        parts
    }

    /// What is to be tried next.
    pub(super) fn next(&mut self) -> Option<Part<'a>> {
        self.waiting.pop()
    }

    pub(super) fn ran(&mut self, part: &Part<'a>, ran: Result<Ran, Failure>) {
        match ran {
            Ok(ran) => self.committed(part, ran),
            Err(failure) => self.failed(part, failure),
        }
    }

    pub(super) fn into_ran(self, now: Timestamp) -> Ran {
        Ran {
            replies: self.answers,
            topics: self.topics,
            wrote: self.wrote,
            now,
        }
    }

    fn committed(&mut self, part: &Part<'a>, ran: Ran) {
        self.topics.extend(ran.topics);
        self.wrote |= ran.wrote;
        (self.refused, self.refused_in_a_row, self.has_leapt) = (0, 0, false);
        match part {
            Part::Commands(_) => self.answers.extend(ran.replies),
            Part::Piece { is_first, .. } => {
                let answers = ran.replies.into_iter();
                answers.for_each(|answer| self.join(answer, *is_first));
            }
        }
    }

    /// The answer to a piece of a command.
    fn join(&mut self, answer: Answer, is_first: bool) {
        if is_first {
            self.answers.push(answer);
            return;
        }
        let before = self.answers.last_mut();
        match (before.expect("the first piece was answered"), answer) {
            (Ok(Ok(done)), Ok(Ok(more))) => done.join(more),
            // What came before it stands; that the whole was not done must be told.
            (before @ Ok(Ok(_)), worse) => *before = worse.map_err(after_a_part),
            (Ok(Err(_)) | Err(_), _) => {}
        }
    }

    fn failed(&mut self, part: &Part<'a>, failure: Failure) {
        match (failure, part.halves()) {
            // Others change these rows; the next part may have different ones.
            (Failure::Store(Error::Conflict), _) => self.answer(part, &Error::Conflict),
            (Failure::Store(error), _) => {
                self.answer(part, &error);
                // What was not begun did not happen, whatever became of this part.
                self.stop(&match error {
                    Error::Unknown(reason) => Error::Unavailable(reason.into()),
                    error => error,
                });
            }
            (Failure::Refused(error) | Failure::Unsettled(error), Some(_))
                if self.refused >= REFUSED_MAX =>
            {
                self.answer(part, &error);
            }
            (
                Failure::Refused(_) | Failure::Unsettled(_) | Failure::Panicked,
                Some([first, second]),
            ) => {
                if matches!(part, Part::Commands(_)) {
                    (self.refused_in_a_row, self.has_leapt) = (0, false);
                }
                self.waiting.extend([second, first]);
            }
            (Failure::Refused(error) | Failure::Unsettled(error), None) => {
                self.answer_alone(part, &error);
                if part.shares_its_answer() {
                    self.refused_in_a_row += 1;
                    if self.refused_in_a_row < REFUSED_IN_A_ROW_MAX || self.leaps(&error) {
                        return;
                    }
                    self.stop_command(&error);
                }
                self.refused += 1;
            }
            (Failure::Panicked, None) => {
                let command = part.verb();
                tracing::error!(command, "the rules broke down over a command");
                let reason = "the rules broke down over this command".to_owned();
                self.answer_alone(part, &Error::Failed(reason));
            }
        }
    }

    /// Of what is to blame itself. The other pieces of its command are not, and what became of them can be told.
    fn answer_alone(&mut self, part: &Part<'a>, error: &Error) {
        match part {
            Part::Piece { command, is_first } if part.shares_its_answer() => {
                tracing::error!(command = command.name(), %error, "a part of a command failed alone");
                self.join(Ok(Ok(command.failed_part(error))), *is_first);
            }
            Part::Commands(_) | Part::Piece { .. } => self.answer(part, error),
        }
    }

    /// Goes on with the command at some place of what is left of it, unless that was done before. False where it is not
    /// gone on with.
    fn leaps(&mut self, error: &Error) -> bool {
        let pieces = self.waiting.iter().rev();
        let pieces = pieces.take_while(|part| part.is_piece()).count();
        if self.has_leapt || pieces == 0 {
            return false;
        }
        (self.has_leapt, self.refused_in_a_row) = (true, 0);
        // Each is about as long as all before it together.
        let mut passed_over = pieces - 1;
        while passed_over > 0 && self.random.below(2) == 0 {
            passed_over -= 1;
        }
        for _ in 0..passed_over {
            self.leave_next(error);
        }
        while let Some([first, second]) = self.waiting.last().and_then(Part::halves) {
            self.waiting.pop();
            self.waiting.extend([second, first]);
            if self.random.below(2) == 0 {
                self.leave_next(error);
            }
        }
        true
    }

    /// Nothing more of the command that is tried now is tried.
    fn stop_command(&mut self, error: &Error) {
        while self.waiting.last().is_some_and(Part::is_piece) {
            self.leave_next(error);
        }
    }

    /// The next piece is not tried. What was done of its command is told where its answer can tell that.
    fn leave_next(&mut self, error: &Error) {
        let Some(part) = self.next() else {
            return;
        };
        match &part {
            Part::Piece { command, is_first } if command.tells_parts_apart() => {
                self.join(Ok(Ok(command.failed_part(error))), *is_first);
            }
            Part::Piece { .. } | Part::Commands(_) => self.answer(&part, error),
        }
    }

    /// Nothing more is tried.
    fn stop(&mut self, error: &Error) {
        while let Some(part) = self.next() {
            self.answer(&part, error);
        }
    }

    fn answer(&mut self, part: &Part<'a>, error: &Error) {
        match part {
            Part::Commands(commands) => {
                let answers = commands.iter().map(|_| Err(error.clone()));
                self.answers.extend(answers);
            }
            // What the claims before them were dealt must reach them.
            Part::Piece {
                command: command @ Command::Claims(_),
                is_first,
            } => self.join(Ok(Ok(command.failed_part(error))), *is_first),
            Part::Piece { is_first, .. } => self.join(Err(error.clone()), *is_first),
        }
    }
}

/// An error that says that nothing happened cannot be said of a command of which a part may have: whoever sends it again
/// for that would do this part twice.
fn after_a_part(error: Error) -> Error {
    match error {
        Error::Unavailable(_) | Error::Full | Error::Conflict => Error::Unknown(in_part(&error)),
        // These say nothing of what happened, and are for the log alone.
        Error::Failed(_) | Error::Unreadable(_) => Error::Failed(in_part(&error)),
        Error::Unknown(_) | Error::Damaged(_) => error,
    }
}

fn in_part(error: &Error) -> String {
    format!("a part of it may have been done before this happened: {error}")
}

/// The batch's error, or that of its last command: what ends a batch before its end is said of all that is left.
pub(crate) fn cut_short(ran: &Result<Ran, Error>) -> Option<&Error> {
    match ran {
        Err(error) => Some(error),
        Ok(ran) => match ran.replies.last()? {
            Err(error) => Some(error),
            Ok(Ok(Done::Claims(dealt))) => dealt.hands.last()?.as_ref().err(),
            Ok(_) => None,
        },
    }
}
