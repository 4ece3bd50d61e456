//! Ids and small numbers, each its own type, so that two of them cannot be swapped by accident.
//!
//! Ids that leave the system have one text form, which is a promise; numbers stay inside.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use uuid::Uuid;

use crate::random::Random;
use crate::time::Timestamp;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Before every id; nobody's.
            pub const NIL: Self = Self(Uuid::nil());

            pub fn as_uuid(self) -> Uuid {
                self.0
            }

            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl TryFrom<Uuid> for $name {
            type Error = NotAnId;

            fn try_from(uuid: Uuid) -> Result<Self, NotAnId> {
                if uuid.get_version_num() == 7 {
                    Ok(Self(uuid))
                } else {
                    Err(NotAnId)
                }
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                // `Uuid` reads other spellings too; the promise is one text form.
                if text.len() != 36 {
                    return Err(NotAnId);
                }
                Uuid::try_parse(text).map_err(|_| NotAnId)?.try_into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer
                    .serialize_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text(PhantomData))
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                schema()
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    };
}

id! {
    /// A task's id: a UUIDv7, made by the client or by the server before the command is queued, so that a submit whose
    /// fate is unknown can be looked for and sent again.
    TaskId
}
id! {
    /// An operation's id: a UUIDv7, made by the server before the command is queued.
    OperationId
}

/// An idempotency key keeps the ids of what was made under it, whatever that is.
impl From<OperationId> for TaskId {
    fn from(id: OperationId) -> Self {
        Self(id.0)
    }
}

impl From<TaskId> for OperationId {
    fn from(id: TaskId) -> Self {
        Self(id.0)
    }
}

/// Not a UUIDv7 in its plain, hyphenated text form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected a UUIDv7 in its plain form of 8-4-4-4-12 hexadecimal digits")]
pub struct NotAnId;

impl TaskId {
    /// The id made at `now` with these random bits: same arguments, same id.
    pub fn new(now: Timestamp, random: u128) -> Self {
        let millis = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
        let bytes = random.to_be_bytes();
        let mut tail = [0; 10];
        tail.copy_from_slice(&bytes[6..]);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid())
    }

    /// When the id says it was made; what a client's id is checked against.
    pub fn made_at(self) -> Timestamp {
        let bytes = self.0.as_bytes();
        let millis = bytes[..6]
            .iter()
            .fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte));
        Timestamp::from_micros(millis * 1000)
    }
}

/// Makes ids that ascend, so that tasks made one after the other stand and are handed out in that order.
///
/// Within a millisecond the random part grows by random steps (RFC 9562, 6.2, method 2).
#[derive(Default)]
pub struct TaskIds {
    millis: i64,
    random: u128,
}

impl TaskIds {
    /// The bits of the random part that are counted up: those behind the variant.
    const COUNTED: u128 = (1 << 62) - 1;

    pub fn next(&mut self, now: Timestamp, random: &mut dyn Random) -> TaskId {
        let fresh = (u128::from(random.bits()) << 64) | u128::from(random.bits());
        let (millis, step) = (now.as_micros() / 1000, 1 + (fresh & u128::from(u32::MAX)));
        let counted = (self.random & Self::COUNTED) + step;
        if millis > self.millis || counted > Self::COUNTED {
            self.millis = millis.max(self.millis + 1);
            self.random = fresh;
        } else {
            self.random = (self.random & !Self::COUNTED) | counted;
        }
        TaskId::new(Timestamp::from_micros(self.millis * 1000), self.random)
    }
}

#[cfg(feature = "openapi")]
fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
    utoipa::openapi::Object::builder()
        .schema_type(utoipa::openapi::Type::String)
        .description(Some("A UUIDv7 in its plain form."))
        .format(Some(utoipa::openapi::SchemaFormat::Custom(
            "uuid".to_owned(),
        )))
        // Version and variant stand in the first digit of the third and the fourth group (RFC 9562, 5.7).
        .pattern(Some(
            "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-7[0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}$",
        ))
        .into()
}

/// Refuses within the visit, so that the reader knows where in the text the id stands.
struct Text<I>(PhantomData<I>);

impl<I: FromStr<Err = NotAnId>> serde::de::Visitor<'_> for Text<I> {
    type Value = I;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a UUIDv7 in a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<I, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub i32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

number! {
    /// Counts the claims of one slot, from 1; never reused. A report carries the fence of its run, and only the
    /// newest run's is accepted.
    Fence
}
number! {
    /// A worker's small number: what narrow rows hold in place of its name.
    WorkerNumber
}
number! {
    /// Counts the registrations of one worker name, from 1; a lower one belongs to a process that was replaced.
    Epoch
}
number! {
    /// A server's small number, free again once that server is gone.
    ServerNumber
}

impl Fence {
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Epoch {
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Which of a task's slots. One a task so far; it stands in every key and token from the start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SlotNumber(pub i16);

/// The place for one answer to a task.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SlotKey {
    pub task: TaskId,
    pub slot: SlotNumber,
}

impl SlotKey {
    /// The only slot of a task that asks for one answer.
    pub fn only(task: TaskId) -> Self {
        Self {
            task,
            slot: SlotNumber(0),
        }
    }

    pub fn run(self, fence: Fence) -> RunKey {
        RunKey { slot: self, fence }
    }
}

/// One run of one slot: what a lease, a report and an attempt belong to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RunKey {
    pub slot: SlotKey,
    pub fence: Fence,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seeded;

    /// All ones, so that the part that is counted is full at once.
    struct Highest;

    impl Random for Highest {
        fn bits(&mut self) -> u64 {
            u64::MAX
        }
    }

    fn made(ids: &mut TaskIds, millis: i64, random: &mut dyn Random) -> TaskId {
        ids.next(Timestamp::from_micros(millis * 1000 + 999), random)
    }

    #[test]
    fn an_id_in_the_log_is_the_one_that_can_be_asked_for() {
        let id = made(&mut TaskIds::default(), 7, &mut Seeded::new(1));

        assert_eq!(format!("{id:?}"), id.to_string());
    }

    #[test]
    fn ids_ascend_within_a_millisecond_and_when_the_time_stands_still_or_goes_back() {
        let (mut ids, mut random) = (TaskIds::default(), Seeded::new(1));
        let times = [7, 7, 7, 8, 8, 3, 9];

        let made = times.map(|millis| made(&mut ids, millis, &mut random));

        assert!(made.is_sorted_by(|one, next| one < next), "{made:?}");
        let said = made.map(|id| id.made_at().as_micros() / 1000);
        assert_eq!(said, [7, 7, 7, 8, 8, 8, 9]);
    }

    #[test]
    fn what_is_full_goes_on_in_the_next_millisecond() {
        let mut ids = TaskIds::default();

        let made = [7, 7, 7, 8].map(|millis| made(&mut ids, millis, &mut Highest));

        assert!(made.is_sorted_by(|one, next| one < next), "{made:?}");
        let said = made.map(|id| id.made_at().as_micros() / 1000);
        assert_eq!(said, [7, 8, 9, 10]);
    }
}
