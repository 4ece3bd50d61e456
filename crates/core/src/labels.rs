//! Labels, which describe a task or a worker, and demands, which a task makes on a worker's labels.

mod number;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use self::number::Number;
use crate::name::{BadName, Name};

/// How many labels or demands one task or worker may have.
pub const LABELS_MAX: usize = 32;
/// How long a label's value may be, in bytes.
pub const VALUE_LEN_MAX: usize = 64;

/// Name → value, in the order of the names. Cheap to clone; most tasks have none.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Labels(Option<Arc<BTreeMap<Name, Arc<str>>>>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLabels {
    #[error("must hold at most {LABELS_MAX} entries")]
    TooMany,
    #[error("{0}")]
    Name(String, #[source] BadName),
    #[error("must be 1 to {VALUE_LEN_MAX} bytes with no control characters")]
    Value(String),
    #[error("must end in a number after >=, <=, > or <")]
    NotANumber(String),
    #[error(
        "compares with a number of too many digits; with its comparison it must take at most {VALUE_LEN_MAX} bytes"
    )]
    LongNumber(String),
    #[error(
        "begins with = or !=, for which there is no comparison; say >=, <=, > or < and a number, or the value alone that must \
         be there"
    )]
    NoComparison(String),
}

/// One to so many bytes, none of them of a control character.
pub(crate) fn is_word(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && !text.chars().any(char::is_control)
}

impl BadLabels {
    /// Which entry is wrong, where it is one.
    pub fn entry(&self) -> Option<&str> {
        match self {
            Self::TooMany => None,
            Self::Name(entry, _)
            | Self::Value(entry)
            | Self::NotANumber(entry)
            | Self::LongNumber(entry)
            | Self::NoComparison(entry) => Some(entry),
        }
    }
}

impl Labels {
    pub fn new<K: AsRef<str>, V: AsRef<str>>(
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, BadLabels> {
        let mut labels = BTreeMap::new();
        for (name, value) in entries {
            let (name, value) = (name.as_ref(), value.as_ref());
            let checked = Name::plain(name).map_err(|bad| BadLabels::Name(name.to_owned(), bad))?;
            if !is_word(value, VALUE_LEN_MAX) {
                return Err(BadLabels::Value(name.to_owned()));
            }
            labels.insert(checked, Arc::from(value));
        }
        if labels.len() > LABELS_MAX {
            return Err(BadLabels::TooMany);
        }
        Ok(Self((!labels.is_empty()).then(|| Arc::new(labels))))
    }

    pub fn get(&self, name: &Name) -> Option<&str> {
        self.0.as_ref()?.get(name).map(AsRef::as_ref)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Name, &str)> {
        self.0
            .iter()
            .flat_map(|labels| labels.iter().map(|(name, value)| (name, value.as_ref())))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// One JSON object in the order of the names: how stores keep labels; empty text for none.
    pub fn to_text(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let entries: BTreeMap<&str, &str> = self
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        serde_json::to_string(&entries).expect("a map of strings is always JSON")
    }

    /// Reads what [`Labels::to_text`] wrote.
    pub fn from_text(text: &str) -> Result<Self, BadLabels> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let entries: BTreeMap<String, String> =
            serde_json::from_str(text).map_err(|_| BadLabels::Value(text.to_owned()))?;
        Self::new(entries)
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// What a task asks of a worker's labels, in normal form: `gpu=a100` as `a100`, `memory_gb >= 16.0` as `>=16`. A number is
/// written out as far as there is room for that, so that ways of writing it make no lanes of their own.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Demands(Labels);

#[derive(Clone, Copy, Debug)]
enum Demand<'a> {
    Equal(&'a str),
    Compare(&'static str, Number<'a>),
}

const COMPARISONS: [&str; 4] = [">=", "<=", ">", "<"];

impl<'a> Demand<'a> {
    /// `None`: it begins like a comparison and holds no number.
    fn read(text: &'a str) -> Option<Self> {
        let text = text.trim();
        match COMPARISONS.into_iter().find(|sign| text.starts_with(sign)) {
            None => Some(Self::Equal(text)),
            Some(sign) => Number::read(&text[sign.len()..]).map(|bound| Self::Compare(sign, bound)),
        }
    }

    /// A value that does, the nearest whole step away from a bound that does not.
    fn met_by(self) -> String {
        let (sign, bound) = match self {
            Self::Equal(wanted) => return wanted.to_owned(),
            Self::Compare(sign, bound) => (sign, bound),
        };
        let bound = bound.normal(VALUE_LEN_MAX);
        let about: f64 = bound.parse().unwrap_or_default();
        let beyond = match sign {
            ">" => [about + 1.0, about.next_up()],
            _ => [about - 1.0, about.next_down()],
        };
        // Of a bound so large that a step makes no difference, the next number there is.
        let mut values = std::iter::once(bound.clone()).chain(beyond.map(written));
        let met = values.find(|value| self.is_met_by(value));
        met.unwrap_or(bound)
    }

    fn is_met_by(self, value: &str) -> bool {
        match self {
            // Blanks around the one count as little as around the other.
            Self::Equal(wanted) => wanted == value.trim(),
            Self::Compare(sign, bound) => Number::read(value).is_some_and(|value| {
                let compared = value.compare(bound);
                match sign {
                    ">=" => compared.is_ge(),
                    "<=" => compared.is_le(),
                    ">" => compared.is_gt(),
                    _ => compared.is_lt(),
                }
            }),
        }
    }
}

/// As a label's value, which has room for no more.
fn written(number: f64) -> String {
    let whole = number.to_string();
    if whole.len() <= VALUE_LEN_MAX {
        whole
    } else {
        format!("{number:e}")
    }
}

impl Demands {
    pub fn new<K: AsRef<str>, V: AsRef<str>>(
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, BadLabels> {
        let mut normal = Vec::new();
        for (name, value) in entries {
            let name = name.as_ref().to_owned();
            let text = match Demand::read(value.as_ref()) {
                None => return Err(BadLabels::NotANumber(name)),
                // It would wait for ever for a worker whose label is just this text.
                Some(Demand::Equal(text)) if text.starts_with('=') || text.starts_with("!=") => {
                    return Err(BadLabels::NoComparison(name));
                }
                Some(Demand::Equal(text)) => text.to_owned(),
                Some(Demand::Compare(sign, bound)) => {
                    let room = VALUE_LEN_MAX - sign.len();
                    let bound = bound.normal(room);
                    if bound.len() > room {
                        return Err(BadLabels::LongNumber(name));
                    }
                    format!("{sign}{bound}")
                }
            };
            normal.push((name, text));
        }
        Labels::new(normal).map(Self)
    }

    pub(crate) fn are_met_by(&self, labels: &Labels) -> bool {
        self.0.iter().all(|(name, wanted)| {
            let demand = Demand::read(wanted);
            labels
                .get(name)
                .zip(demand)
                .is_some_and(|(value, demand)| demand.is_met_by(value))
        })
    }

    /// For each a label that meets it.
    pub fn met_by(&self) -> impl Iterator<Item = (&Name, String)> {
        self.iter().map(|(name, wanted)| {
            let demand = Demand::read(wanted);
            let meets = demand.map(Demand::met_by);
            (name, meets.unwrap_or_else(|| wanted.to_owned()))
        })
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Name, &str)> {
        self.0.iter()
    }

    /// See [`Labels::to_text`]; equal demands have equal text.
    pub fn to_text(&self) -> String {
        self.0.to_text()
    }

    pub fn from_text(text: &str) -> Result<Self, BadLabels> {
        Labels::from_text(text).map(Self)
    }
}

impl fmt::Debug for Demands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(demand: &str, value: &str, met: bool) {
        let demands = Demands::new([("x", demand)]).unwrap();
        let labels = Labels::new([("x", value)]).unwrap();
        assert_eq!(demands.are_met_by(&labels), met, "{demand} by {value}");
    }

    #[test]
    fn demands_compare_text_and_numbers() {
        check("a100", "a100", true);
        check("a100", "A100", false);
        check("a100", " a100 ", true);
        check(" a 100 ", "  a 100", true);
        check(">=16", "16", true);
        check(">= 16", "15.9", false);
        check("<4", "3", true);
        check("<4", "4", false);
        check(">1e2", "101", true);
        check(">=16", "much", false);
        check(">=9007199254740993", "9007199254740992", false);
        check("<=9007199254740992", "9007199254740993", false);
        check(">0.1", "0.10000000000000000001", true);
        check(">=1e70", "1e70", true);
        check(">=1e70", "9.9e69", false);
        check("<1e-70", "0", true);
    }

    #[test]
    fn for_each_demand_there_is_a_label_that_meets_it() {
        for (demand, label) in [
            ("a100", "a100"),
            (" São Paulo ", "São Paulo"),
            (">=16", "16"),
            ("<=0.5", "0.5"),
            (">16", "17"),
            ("<8", "7"),
            (">1.5", "2.5"),
            ("<-1e20", "-100000000000000020000"),
            (">1e16", "10000000000000002"),
            (">1e70", "1.0000000000000002e70"),
            (">=1e300", "1e300"),
            (">9007199254740993", "9007199254740994"),
        ] {
            let demands = Demands::new([("x", demand)]).unwrap();
            let met_by = demands.met_by().map(|(_, value)| value);

            assert_eq!(met_by.collect::<Vec<_>>(), [label], "{demand}");
            check(demand, label, true);
        }
    }

    #[test]
    fn a_label_that_is_not_there_meets_no_demand() {
        let demands = Demands::new([("gpu", "a100")]).unwrap();

        assert!(!demands.are_met_by(&Labels::default()));
        assert!(Demands::default().are_met_by(&Labels::default()));
    }

    #[test]
    fn equal_demands_have_one_normal_form() {
        let one = Demands::new([("b", ">= 16.0"), ("a", " x ")]).unwrap();
        let other = Demands::new([("a", "x"), ("b", ">=16")]).unwrap();

        assert_eq!(one, other);
        assert_eq!(one.to_text(), r#"{"a":"x","b":">=16"}"#);
        assert_eq!(Demands::from_text(&one.to_text()), Ok(one));
    }

    #[test]
    fn a_short_text_has_a_short_normal_form() {
        for (text, normal) in [
            (">=1e70", ">=1e70"),
            (">= 10e69", ">=1e70"),
            (">=1e63", ">=1e63"),
            ("<1e-70", "<1e-70"),
            (">-1.5e300", ">-1.5e300"),
            (">=1e2", ">=100"),
        ] {
            let demands = Demands::new([("m", text)]).unwrap();
            assert_eq!(demands.iter().next().unwrap().1, normal, "{text}");
        }
        // As long as a value may be, and written out.
        let digits = "7".repeat(VALUE_LEN_MAX - 1);
        assert!(Demands::new([("m", format!("<{digits}"))]).is_ok());
        assert_eq!(
            Demands::new([("m", format!(">={digits}"))]),
            Err(BadLabels::LongNumber("m".to_owned()))
        );
    }

    #[test]
    fn bad_entries_are_named() {
        assert_eq!(
            Demands::new([("m", ">=lots")]),
            Err(BadLabels::NotANumber("m".to_owned()))
        );
        for text in ["=>16", "!=16", "==16", " = 16"] {
            assert_eq!(
                Demands::new([("m", text)]),
                Err(BadLabels::NoComparison("m".to_owned())),
                "{text}"
            );
        }
        assert!(Demands::new([("m", "!16")]).is_ok());
        assert_eq!(Labels::new([("m", "")]).unwrap_err().entry(), Some("m"));
        assert_eq!(
            Labels::new([("m", "a\u{7}")]).unwrap_err().entry(),
            Some("m")
        );
        assert_eq!(
            Labels::new((0..33).map(|n| (format!("l{n}"), "x"))),
            Err(BadLabels::TooMany)
        );
    }
}
