//! Which tasks a list shows, or a bulk act is about: every condition that is given must hold.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::labels::{Labels, is_word};
use crate::name::Name;
use crate::query::TaskView;
use crate::rows::Task;
use crate::status::Status;
use crate::time::Timestamp;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Any of them; none given: all.
    pub statuses: Vec<Status>,
    pub kind: Option<Name>,
    pub queue: Option<Name>,
    /// Who holds it, or who ended it.
    pub worker: Option<Name>,
    /// Every one of these must be on the task.
    pub labels: Vec<(Name, Arc<str>)>,
    pub search: Option<Search>,
    /// Not earlier than this, by the time that its id says.
    pub created_after: Option<Timestamp>,
    /// Earlier than this, by the time that its id says.
    pub created_before: Option<Timestamp>,
}

impl Filter {
    pub fn lets_through(&self, view: &TaskView) -> bool {
        let named = |wanted: &Option<Name>, name: Option<&Name>| {
            wanted.as_ref().is_none_or(|wanted| Some(wanted) == name)
        };
        (self.statuses.is_empty() || self.statuses.contains(&view.status()))
            && named(&self.kind, Some(&view.lane.kind))
            && named(&self.queue, Some(&view.lane.queue))
            && named(&self.worker, view.worker.as_ref())
            && self.ids().contains(&number(&view.task))
            && self
                .labels
                .iter()
                .all(|(name, value)| view.task.label(name) == Some(value))
            && self.search.as_ref().is_none_or(|search| search.finds(view))
    }

    /// The ids that its tasks can have, as numbers; in their order they are the ids in theirs.
    pub fn ids(&self) -> RangeInclusive<u128> {
        let searched = match self.search.as_ref().map(|search| &*search.looks) {
            Some(Looks::Ids(ids)) => ids.clone(),
            Some(Looks::Words(_)) | None => 0..=u128::MAX,
        };
        let from = self.created_after.map_or(0, first_made_at);
        // Where nothing is earlier, the range is empty: it ends before it begins.
        let until = match self.created_before.map(first_made_at) {
            None => u128::MAX,
            Some(0) => return RangeInclusive::new(1, 0),
            Some(first) => first - 1,
        };
        from.max(*searched.start())..=until.min(*searched.end())
    }
}

fn number(task: &Task) -> u128 {
    task.id.as_uuid().as_u128()
}

/// Not after any id that was made at this time or later, and after all that were made earlier. Ids know milliseconds.
fn first_made_at(time: Timestamp) -> u128 {
    let millis = u128::try_from(time.as_micros().div_euclid(1000)).unwrap_or(0);
    millis << 80
}

/// A few words, or the beginning of an id. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    text: Arc<str>,
    looks: Arc<Looks>,
}

#[derive(Clone, Debug, PartialEq)]
enum Looks {
    Ids(RangeInclusive<u128>),
    /// In small letters.
    Words(Vec<Box<str>>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 1 to {} bytes with no control characters and at most {} words",
    Search::LEN_MAX,
    Search::WORDS_MAX
)]
pub struct BadSearch;

impl Search {
    /// In bytes.
    pub const LEN_MAX: usize = 255;
    pub const WORDS_MAX: usize = 8;
    /// So many characters that could begin an id are taken for that. Fewer would name the tasks of days.
    pub const ID_LEN_MIN: usize = 6;
    /// With fewer than so many the first has to be that of all ids until the year 2527: `decade` and `facade` are words.
    const ID_LEN_SURE: usize = 8;

    pub fn read(text: &str) -> Result<Self, BadSearch> {
        if !is_word(text, Self::LEN_MAX) {
            return Err(BadSearch);
        }
        let words: Vec<Box<str>> = text
            .split_whitespace()
            .map(|word| word.to_lowercase().into())
            .collect();
        if words.is_empty() || words.len() > Self::WORDS_MAX {
            return Err(BadSearch);
        }
        let looks = match &words[..] {
            [word] => beginning_of_id(word).map(Looks::Ids),
            _ => None,
        };
        Ok(Self {
            text: text.into(),
            looks: Arc::new(looks.unwrap_or(Looks::Words(words))),
        })
    }

    /// Whether ids are looked for that begin so.
    pub fn begins_an_id(text: &str) -> bool {
        beginning_of_id(text).is_some()
    }

    /// As it was read.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn finds(&self, view: &TaskView) -> bool {
        let Looks::Words(words) = &*self.looks else {
            // Its range tells.
            return true;
        };
        let kind = view.lane.kind.as_str().to_lowercase();
        let labels = view.task.labels.iter().flat_map(Labels::iter);
        let labels: Vec<[String; 2]> = labels
            .map(|(name, value)| [name.as_str().to_lowercase(), value.to_lowercase()])
            .collect();
        words.iter().all(|word| {
            kind.contains(&**word) || labels.iter().flatten().any(|text| text.contains(&**word))
        })
    }
}

/// The ids that begin so; none where it is no beginning of an id's text.
fn beginning_of_id(text: &str) -> Option<RangeInclusive<u128>> {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    if !(Search::ID_LEN_MIN..=36).contains(&text.len()) {
        return None;
    }
    if text.len() < Search::ID_LEN_SURE && !text.starts_with('0') {
        return None;
    }
    let (mut first, mut digits) = (0_u128, 0_u32);
    for (at, character) in text.chars().enumerate() {
        match (HYPHENS.contains(&at), character) {
            (true, '-') => {}
            (false, digit) => {
                first = (first << 4) | u128::from(digit.to_digit(16)?);
                digits += 1;
            }
            (true, _) => return None,
        }
    }
    let open = 128 - digits * 4;
    let first = first.checked_shl(open).unwrap_or(0);
    Some(first..=first | (u128::MAX.checked_shr(digits * 4).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TaskId;

    #[test]
    fn the_beginning_of_an_id_finds_the_ids_that_begin_so() {
        let id = TaskId::new(Timestamp::from_micros(1_700_000_000_123_000), 77);
        let (number, text) = (id.as_uuid().as_u128(), id.to_string());
        for len in Search::ID_LEN_MIN..=text.len() {
            let search = Search::read(&text[..len].to_uppercase()).unwrap();
            let Looks::Ids(ids) = &*search.looks else {
                panic!("{len} characters of an id begin one");
            };
            assert!(ids.contains(&number), "{len}");
            assert!(!ids.contains(&(number ^ (1 << 127))), "{len}");
            assert_eq!(ids.start() == ids.end(), len == text.len());
        }
    }

    #[test]
    fn what_begins_no_id_is_words() {
        for text in [
            "0199a",
            "decade",
            "0199abcd0",
            "zz99abcd",
            "0199abcd 0199abcd",
        ] {
            let looks = Search::read(text).unwrap().looks;
            assert!(matches!(*looks, Looks::Words(_)), "{text}");
        }
        let nine = ["w"; Search::WORDS_MAX + 1].join(" ");
        for bad in ["", " ", "a\u{7}", &nine, &"w".repeat(Search::LEN_MAX + 1)] {
            assert_eq!(Search::read(bad), Err(BadSearch), "{bad:?}");
        }
    }

    #[test]
    fn times_bound_the_ids_from_the_first_up_to_the_one_before_the_last() {
        let time = |millis: i64| Timestamp::from_micros(millis * 1000);
        let made_at = |millis| TaskId::new(time(millis), u128::MAX).as_uuid().as_u128();
        let filter = Filter {
            created_after: Some(time(5)),
            created_before: Some(time(7)),
            ..Filter::default()
        };

        let let_through = [4, 5, 6, 7].map(|millis| filter.ids().contains(&made_at(millis)));

        assert_eq!(let_through, [false, true, true, false]);
        let nothing = Filter {
            created_before: Some(time(0)),
            ..Filter::default()
        };
        assert!(nothing.ids().is_empty());
    }
}
