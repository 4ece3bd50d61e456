//! What is told, as text: `<incarnation> hello ready=3,-7:20 ended=00ff,a2b1 cancelled=* printed=… told=12`, each word only
//! where there is something of its kind, `*` for any. Behind a lane stands how many rows of it are ready, if more than one. Words that are not known are passed over.

use std::str::FromStr;

use taskyard_core::hints::{Hints, Mark, ROWS_MAX, Ready, Which};
use taskyard_core::id::WorkerNumber;
use taskyard_core::lane::Lane;
use uuid::Uuid;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Message {
    /// Of the database whose numbers these are.
    pub(super) incarnation: [u8; 16],
    /// A server has joined.
    pub(super) is_hello: bool,
    pub(super) hints: Hints,
}

impl Message {
    /// At most 7,500 bytes, of the 7,999 that PostgreSQL takes.
    pub(super) fn text(&self) -> String {
        let mut text = Uuid::from_bytes(self.incarnation).to_string();
        if self.is_hello {
            text.push_str(" hello");
        }
        let hints = &self.hints;
        match &hints.ready {
            Ready::In(lanes) => add_each(&mut text, "ready", lanes, |(lane, rows)| match rows {
                1 => lane.0.to_string(),
                rows => format!("{}:{rows}", lane.0),
            }),
            Ready::Anywhere => text.push_str(" ready=*"),
        }
        for (word, marks) in [
            ("ended", &hints.ended),
            ("cancelled", &hints.cancelled),
            ("printed", &hints.printed),
        ] {
            add(&mut text, word, marks, |mark| format!("{:04x}", mark.0));
        }
        add(&mut text, "told", &hints.told, |worker| {
            worker.0.to_string()
        });
        text
    }

    /// None where it does not begin with a database.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let incarnation = Uuid::try_parse(words.next()?).ok()?;
        let mut message = Self {
            incarnation: incarnation.into_bytes(),
            is_hello: false,
            hints: Hints::default(),
        };
        let hints = &mut message.hints;
        for word in words {
            match word.split_once('=') {
                None if word == "hello" => message.is_hello = true,
                Some(("ready", "*")) => hints.ready = Ready::Anywhere,
                Some(("ready", lanes)) => {
                    hints.ready = lanes.split(',').filter_map(lane).collect();
                }
                Some(("ended", these)) => hints.ended = which(these, mark),
                Some(("cancelled", these)) => hints.cancelled = which(these, mark),
                Some(("printed", these)) => hints.printed = which(these, mark),
                Some(("told", these)) => hints.told = which(these, |n| number(n).map(WorkerNumber)),
                _ => {}
            }
        }
        Some(message)
    }
}

fn add<T>(text: &mut String, word: &str, which: &Which<T>, write: impl Fn(&T) -> String) {
    match which {
        Which::Any => text.extend([" ", word, "=*"]),
        Which::These(these) => add_each(text, word, these, write),
    }
}

fn add_each<T>(
    text: &mut String,
    word: &str,
    these: impl IntoIterator<Item = T>,
    write: impl Fn(T) -> String,
) {
    for (place, one) in these.into_iter().enumerate() {
        match place {
            0 => text.extend([" ", word, "="]),
            _ => text.push(','),
        }
        text.push_str(&write(one));
    }
}

fn which<T: Ord>(text: &str, read: impl Fn(&str) -> Option<T>) -> Which<T> {
    match text {
        "*" => Which::Any,
        these => these.split(',').filter_map(read).collect(),
    }
}

fn lane(text: &str) -> Option<(Lane, u32)> {
    let (lane, rows) = text.split_once(':').unwrap_or((text, "1"));
    let is_one = |lane: &i32| *lane != 0 && *lane != i32::MIN;
    let lane = number(lane).filter(is_one).map(Lane)?;
    let rows: u32 = number(rows)?;
    Some((lane, rows.clamp(1, ROWS_MAX)))
}

fn number<N: FromStr>(text: &str) -> Option<N> {
    text.parse().ok()
}

fn mark(text: &str) -> Option<Mark> {
    u16::from_str_radix(text, 16).ok().map(Mark)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use taskyard_core::hints::{ENDED_MAX, LANES_MAX, MARKS_MAX, WORKERS_MAX};

    use super::*;

    const INCARNATION: &str = "0190f5fe-7c00-7a00-8000-0123456789ab";

    fn message(is_hello: bool, hints: Hints) -> Message {
        let incarnation = Uuid::try_parse(INCARNATION).unwrap().into_bytes();
        Message {
            incarnation,
            is_hello,
            hints,
        }
    }

    #[test]
    fn a_message_reads_like_this() {
        let hints = Hints {
            ready: [(Lane(12), 1), (Lane(-3), 20)].into_iter().collect(),
            ended: [Mark(0xff), Mark(0xa2b1)].into_iter().collect(),
            cancelled: Which::Any,
            ..Hints::default()
        };

        let text = message(true, hints).text();

        assert_eq!(
            text,
            format!("{INCARNATION} hello ready=-3:20,12 ended=00ff,a2b1 cancelled=*")
        );
        assert_eq!(message(false, Hints::default()).text(), INCARNATION);
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        for text in ["", "hello", "ready=1", "0190f5fe hello"] {
            assert_eq!(Message::parse(text), None, "{text:?}");
        }
        let text = format!(
            "{INCARNATION}  news=7 whatever ready=5,,x,0,{},99999999999,7:x,:,8:,6:99999 ended=zz,10000,-1 = told=",
            i32::MIN
        );
        let ready = Hints {
            ready: [(Lane(5), 1), (Lane(6), ROWS_MAX)].into_iter().collect(),
            ..Hints::default()
        };
        assert_eq!(Message::parse(&text), Some(message(false, ready)));
    }

    /// As many as may be named of each, all as long as they come.
    #[test]
    fn the_longest_message_fits() {
        let these = |count: usize| (0..count).map(|n| i32::try_from(n).unwrap());
        let marks = |count| {
            these(count)
                .map(|n| Mark(u16::try_from(n).unwrap()))
                .collect()
        };
        let hints = Hints {
            ready: these(LANES_MAX)
                .map(|n| (Lane(n - i32::MAX), ROWS_MAX))
                .collect(),
            ended: marks(ENDED_MAX),
            cancelled: marks(MARKS_MAX),
            printed: marks(MARKS_MAX),
            told: these(WORKERS_MAX)
                .map(|n| WorkerNumber(i32::MAX - n))
                .collect(),
        };

        let text = message(true, hints).text();

        assert!(text.len() <= 7_500, "{} bytes", text.len());
    }

    fn some<T: Ord + std::fmt::Debug + Clone>(
        one: impl Strategy<Value = T>,
    ) -> impl Strategy<Value = Which<T>> {
        let these = proptest::collection::btree_set(one, 0..20).prop_map(Which::These);
        prop_oneof![4 => these, 1 => Just(Which::Any)]
    }

    proptest! {
        #[test]
        fn what_is_said_is_what_is_heard(
            incarnation in any::<[u8; 16]>(),
            is_hello in any::<bool>(),
            lanes in some(((1..i32::MAX).prop_map(Lane), 1..=ROWS_MAX)),
            ended in some(any::<u16>().prop_map(Mark)),
            cancelled in some(any::<u16>().prop_map(Mark)),
            printed in some(any::<u16>().prop_map(Mark)),
            told in some((1..i32::MAX).prop_map(WorkerNumber)),
        ) {
            let ready = match lanes {
                Which::These(lanes) => lanes.into_iter().collect(),
                Which::Any => Ready::Anywhere,
            };
            let hints = Hints { ready, ended, cancelled, printed, told };
            let message = Message { incarnation, is_hello, hints };

            prop_assert_eq!(Message::parse(&message.text()), Some(message));
        }

        #[test]
        fn nothing_that_is_heard_breaks_it(text in ".*", tail in "[ a-z=,*0-9-]*") {
            let _ = Message::parse(&text);
            let _ = Message::parse(&format!("{INCARNATION} {tail}"));
        }
    }
}
