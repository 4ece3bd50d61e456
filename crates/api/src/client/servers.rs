//! Which of several servers is asked: the one that served last, until it does not.

use tokio::sync::watch;

use super::error::Error;

/// The servers of one Taskyard, in the order in which they are tried.
#[derive(Debug)]
pub(super) struct Servers {
    /// Without a slash at their end. At least one.
    addresses: Box<[String]>,
    /// The one that served last, or that is next in turn where that one did not any more.
    current: watch::Sender<usize>,
}

/// What becomes of a call that a server did not answer as one that serves does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unserved {
    /// Nothing was done: any other server may be asked.
    Undone,
    /// It may have been done: only what can be said twice is said to another server.
    InDoubt,
}

impl Unserved {
    /// None where the answer is what any other server would say.
    pub(super) fn of(error: &Error) -> Option<Self> {
        match error {
            Error::Unreachable { source, .. } if source.is_connect() => Some(Self::Undone),
            Error::Unreachable { .. } => Some(Self::InDoubt),
            // Whether its database is away, it is full of something or it stops: it says so of itself.
            Error::Problem(problem) if problem.status == 503 && problem.is_worth_repeating() => {
                let is_unknown = problem.code == "outcome_unknown";
                Some(if is_unknown {
                    Self::InDoubt
                } else {
                    Self::Undone
                })
            }
            // Who stands in between knows no more than that it got no answer.
            Error::Unexpected { status, .. } => {
                matches!(status, 502..=504).then_some(Self::InDoubt)
            }
            Error::Problem(_) | Error::Unusable(_) | Error::Several(_) => None,
        }
    }
}

impl Servers {
    pub(super) fn new(addresses: impl IntoIterator<Item = String>) -> Self {
        Self {
            addresses: addresses.into_iter().collect(),
            current: watch::Sender::new(0),
        }
    }

    pub(super) fn current(&self) -> usize {
        *self.current.borrow()
    }

    pub(super) fn address(&self, server: usize) -> &str {
        &self.addresses[server]
    }

    /// Each once, from the one that served last on.
    pub(super) fn round(&self) -> impl ExactSizeIterator<Item = usize> + use<> {
        let (first, count) = (self.current(), self.addresses.len());
        (0..count).map(move |step| (first + step) % count)
    }

    /// Calls go to the next one from here on, unless they go elsewhere already.
    pub(super) fn turn_away(&self, from: usize) {
        let next = (from + 1) % self.addresses.len();
        self.current.send_if_modified(|current| {
            let is_there = *current == from && next != from;
            if is_there {
                *current = next;
            }
            is_there
        });
    }

    /// Resolves once another call has turned away from this server.
    pub(super) async fn left(&self, server: usize) {
        let mut current = self.current.subscribe();
        // The sender is here, so it is not gone.
        let _ = current.wait_for(|current| *current != server).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Servers {
        Servers::new(["a", "b", "c"].map(str::to_owned))
    }

    #[test]
    fn a_round_begins_at_the_one_that_served_last_and_asks_each_once() {
        let servers = three();
        assert_eq!(servers.round().collect::<Vec<_>>(), [0, 1, 2]);

        servers.turn_away(0);
        servers.turn_away(1);

        assert_eq!(servers.round().collect::<Vec<_>>(), [2, 0, 1]);
    }

    #[test]
    fn of_many_calls_that_fail_together_the_first_turns_away() {
        let servers = three();

        for _ in 0..5 {
            servers.turn_away(0);
        }
        assert_eq!(servers.current(), 1);
        servers.turn_away(1);
        servers.turn_away(2);

        assert_eq!(servers.current(), 0);
    }

    #[test]
    fn who_has_one_server_stays_there() {
        let servers = Servers::new(["a".to_owned()]);

        servers.turn_away(0);

        assert_eq!(servers.current(), 0);
    }
}
