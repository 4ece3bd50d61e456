//! Which claims of a worker were perhaps sent again, and when.

use std::collections::VecDeque;

/// Of so many claims of a worker it is remembered: of more than it has open at a time.
const CLAIMS_MAX: usize = 16;

/// The latest sending of each claim that may be a repetition of it. Sendings are told by their numbers, which rise.
#[derive(Clone, Default)]
pub(super) struct Repeated {
    /// By the claims' `seq`, in the order of their sendings.
    latest: VecDeque<(i64, u64)>,
    /// The latest sending of those that were forgotten.
    forgotten: u64,
}

impl Repeated {
    pub(super) fn note(&mut self, seq: i64, sending: u64) {
        self.latest.retain(|(known, _)| *known != seq);
        if self.latest.len() == CLAIMS_MAX
            && let Some((_, oldest)) = self.latest.pop_front()
        {
            self.forgotten = oldest;
        }
        self.latest.push_back((seq, sending));
    }

    /// Whether this claim may have been sent again after that sending of it.
    pub(super) fn is_behind(&self, seq: i64, sending: u64) -> bool {
        let known = self.latest.iter().find(|(known, _)| *known == seq);
        let latest = known.map_or(self.forgotten, |(_, latest)| *latest);
        seq != 0 && latest > sending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_repeated_by_those_of_its_own_number() {
        let mut repeated = Repeated::default();
        for (seq, sending) in [(7, 1), (8, 2), (7, 3), (9, 4)] {
            repeated.note(seq, sending);
        }

        assert!(repeated.is_behind(7, 1));
        assert!(!repeated.is_behind(7, 3));
        assert!(!repeated.is_behind(8, 2) && !repeated.is_behind(9, 4));
        assert!(!repeated.is_behind(10, 0), "it was not sent again");
        assert!(
            !repeated.is_behind(0, 0),
            "without a number none is another"
        );
    }

    #[test]
    fn one_that_is_no_longer_remembered_may_have_been_repeated() {
        let mut repeated = Repeated::default();
        for sending in 1..=CLAIMS_MAX as u64 + 1 {
            repeated.note(sending as i64, sending);
        }

        assert!(repeated.is_behind(1, 0), "it was forgotten");
        assert!(!repeated.is_behind(1, 1), "nothing is known of one since");
        assert!(!repeated.is_behind(17, 17));
        assert_eq!(repeated.latest.len(), CLAIMS_MAX);
    }
}
