//! The keys of one object while it is scanned, to find the one that stands there twice.
//!
//! Small objects are compared as they come, on the stack. Larger ones are sorted when they close: no worse than
//! n log n whatever the keys are, where a hash table would need a secret seed to promise as much.

use std::borrow::Cow;

/// An object with at most so many keys, none of them with an escape, costs no allocation.
const FEW: usize = 16;

pub(super) struct Keys<'a> {
    few: [&'a str; FEW],
    count: usize,
    /// All keys, `few` included, once there are too many or one had to be decoded.
    many: Vec<Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    pub(super) fn new() -> Self {
        Self {
            few: [""; FEW],
            count: 0,
            many: Vec::new(),
        }
    }

    /// Takes a decoded key, and answers false when it is known already. True is final only with [`Keys::twice`].
    #[inline]
    pub(super) fn insert(&mut self, key: Cow<'a, str>) -> bool {
        match key {
            Cow::Borrowed(key) if self.many.is_empty() && self.count < FEW => {
                if self.few[..self.count].contains(&key) {
                    return false;
                }
                self.few[self.count] = key;
                self.count += 1;
            }
            key => self.spill(key),
        }
        true
    }

    #[cold]
    fn spill(&mut self, key: Cow<'a, str>) {
        if self.many.is_empty() {
            self.many
                .extend(self.few[..self.count].iter().copied().map(Cow::Borrowed));
        }
        self.many.push(key);
    }

    /// At the object's end: a key that stands there twice, if [`Keys::insert`] did not find it before.
    #[inline]
    pub(super) fn twice(mut self) -> Option<String> {
        if self.many.is_empty() {
            return None;
        }
        self.many.sort_unstable();
        self.many
            .windows(2)
            .find(|pair| pair[0] == pair[1])
            .map(|pair| pair[0].as_ref().to_owned())
    }
}
