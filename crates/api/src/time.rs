//! Times on the wire: RFC 3339, written in UTC with milliseconds, read with any offset.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use taskyard_core::time::Timestamp;

/// An instant as requests and answers write it. What is below a millisecond is kept when read, and not written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub Timestamp);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a time: expected RFC 3339 with an offset (Z, or up to 23:59), such as 2026-01-31T12:00:00Z, and not after {}",
    Timestamp::MAX
)]
pub struct NotATime;

impl From<Timestamp> for Time {
    fn from(instant: Timestamp) -> Self {
        Self(instant)
    }
}

impl From<Time> for Timestamp {
    fn from(time: Time) -> Self {
        time.0
    }
}

impl FromStr for Time {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        // What jiff reads beyond RFC 3339 (times without colons, years of six digits, zones in brackets, offsets of more
        // than a day) stays out of the promise.
        if !is_rfc_3339(text.as_bytes()) {
            return Err(NotATime);
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| NotATime)?;
        Ok(Self(Timestamp::from_micros(instant.as_microsecond())))
    }
}

/// Whether it is of the form `date-time` (RFC 3339 §5.6), whatever its numbers are but for those of the offset.
fn is_rfc_3339(text: &[u8]) -> bool {
    let is = |text: &[u8], form: &[u8]| {
        text.len() == form.len()
            && text.iter().zip(form).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                form => byte.eq_ignore_ascii_case(form),
            })
    };
    let Some((time, mut rest)) = text.split_at_checked(b"0000-00-00T00:00:00".len()) else {
        return false;
    };
    if let [b'.', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit());
        let (digits, offset) = fraction.split_at(digits.count());
        if digits.is_empty() {
            return false;
        }
        rest = offset;
    }
    let number = |tens: u8, ones: u8| (tens - b'0') * 10 + (ones - b'0');
    let is_offset = match *rest {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', ref clock @ ..] if is(clock, b"00:00") => {
            number(clock[0], clock[1]) < 24 && number(clock[3], clock[4]) < 60
        }
        _ => false,
    };
    is_offset && is(time, b"0000-00-00T00:00:00")
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time in a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Time, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_any_offset_and_written_in_utc_with_milliseconds() {
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T13:30:00.0004+01:30",
            "2026-01-30t23:00:00.000-13:00",
            "2026-02-01T11:59:00+23:59",
            "2026-01-30T12:01:00-23:59",
        ] {
            let time: Time = serde_json::from_str(&format!("{text:?}")).expect(text);
            let written = serde_json::to_string(&time).unwrap();
            assert_eq!(written, r#""2026-01-31T12:00:00.000Z""#, "{text}");
        }
    }

    #[test]
    fn microseconds_survive_reading() {
        let time: Time = "1970-01-01T00:00:00.000001Z".parse().unwrap();

        assert_eq!(Timestamp::from(time), Timestamp::from_micros(1));
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00:00Z",
            "2026-01-31T12:00Z",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00,5Z",
            "2026-01-31T12:00:00+0100",
            "2026-01-31T12:00:00+01",
            "2026-01-31T12:00:00+24:00",
            "2026-01-31T12:00:00-25:00",
            "2026-01-31T12:00:00+25:59",
            "2026-01-31T12:00:00+01:60",
            "20300101T000000Z",
            "-000001-01-01T00:00:00Z",
            "+002026-01-31T12:00:00Z",
            "2026-02-30T12:00:00Z",
            "2026-01-31T12:00:00+01:00[Europe/Berlin]",
            "10000-01-01T00:00:00Z",
        ] {
            assert_eq!(text.parse::<Time>(), Err(NotATime), "{text}");
        }
        assert!(serde_json::from_str::<Time>("1769860800").is_err());
    }

    #[test]
    fn a_time_that_is_too_late_is_told_the_latest() {
        let late: Result<Time, NotATime> = "9999-12-31T23:59:59.999Z".parse();

        let said = late.unwrap_err().to_string();
        assert!(
            said.ends_with("not after 9999-12-30T21:59:59.999Z"),
            "{said}"
        );
        assert!("9999-12-30T21:59:59.999Z".parse::<Time>().is_ok());
    }
}
