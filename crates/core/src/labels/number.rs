//! Numbers as labels and demands hold them: decimals of any size, compared as they are written. As floats, two large integers
//! that are not the same would be.

use std::cmp::Ordering;
use std::iter::repeat_n;

/// A decimal in the text that it was read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a> {
    is_negative: bool,
    /// The digits before the point, and behind it.
    whole: &'a str,
    fraction: &'a str,
    /// Where the point is, counted from before the first digit that is not zero: 2 in `12.5`, -1 in `0.05`.
    point: i64,
}

impl<'a> Number<'a> {
    /// Digits with a sign, a point and an exponent or without: `16`, `-0.5`, `.5`, `1e70`.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (digits, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, i64::from(exponent.parse::<i32>().ok()?)),
            None => (unsigned, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let zeros = whole.bytes().chain(fraction.bytes());
        let zeros = zeros.take_while(|digit| *digit == b'0').count();
        let read = Self {
            is_negative: text.starts_with('-'),
            whole,
            fraction,
            point: length(whole.len()) - length(zeros) + exponent,
        };
        // Nothing is neither less than itself nor larger in any way of writing it.
        Some(if read.is_zero() { Self::ZERO } else { read })
    }

    const ZERO: Self = Self {
        is_negative: false,
        whole: "",
        fraction: "",
        point: 0,
    };

    /// From the first that is not zero on.
    fn digits(self) -> impl Iterator<Item = u8> {
        let digits = self.whole.bytes().chain(self.fraction.bytes());
        digits.skip_while(|digit| *digit == b'0')
    }

    fn is_zero(self) -> bool {
        self.digits().next().is_none()
    }

    fn compare_size(self, other: Self) -> Ordering {
        let by_zero = other.is_zero().cmp(&self.is_zero());
        by_zero.then(self.point.cmp(&other.point)).then_with(|| {
            let (mut these, mut those) = (self.digits(), other.digits());
            loop {
                match (these.next(), those.next()) {
                    (None, None) => return Ordering::Equal,
                    (this, that) => match this.unwrap_or(b'0').cmp(&that.unwrap_or(b'0')) {
                        Ordering::Equal => {}
                        unequal => return unequal,
                    },
                }
            }
        })
    }

    pub(super) fn compare(self, other: Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, false) => self.compare_size(other),
            (true, true) => other.compare_size(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }

    /// In its normal form, the same for all ways of writing it: written out, and with an exponent only where that would be
    /// longer than `bytes_max`. It may still be longer then.
    pub(super) fn normal(self, bytes_max: usize) -> String {
        let mut digits: String = self.digits().map(char::from).collect();
        digits.truncate(digits.trim_end_matches('0').len());
        let sign = if self.is_negative { "-" } else { "" };
        let (count, point) = (length(digits.len()), self.point);
        let zeros =
            |count: i64| repeat_n('0', usize::try_from(count).unwrap_or(0)).collect::<String>();
        let before = usize::try_from(point).unwrap_or(0);
        let written_out = if point <= 0 {
            2 - point + count
        } else {
            point.max(count + i64::from(point < count))
        };
        let is_short = length(sign.len()) + written_out <= length(bytes_max);
        match digits.as_str() {
            "" => "0".to_owned(),
            _ if is_short && point <= 0 => format!("{sign}0.{}{digits}", zeros(-point)),
            _ if is_short && point >= count => format!("{sign}{digits}{}", zeros(point - count)),
            _ if is_short => format!("{sign}{}.{}", &digits[..before], &digits[before..]),
            _ => {
                let (first, rest) = digits.split_at(1);
                let dot = if rest.is_empty() { "" } else { "." };
                format!("{sign}{first}{dot}{rest}e{}", point - 1)
            }
        }
    }
}

fn length(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Number<'_> {
        Number::read(text).unwrap_or_else(|| panic!("{text} is a number"))
    }

    #[test]
    fn numbers_are_compared_as_they_are_written() {
        let rising = [
            "-1e70",
            "-16.5",
            "-16",
            "-0.5",
            "-1e-70",
            "0",
            "1e-70",
            "0.05",
            ".5",
            "0.51",
            "9.99",
            "16",
            "16.000000000000000000001",
            "100",
            "9007199254740992",
            "9007199254740993",
            "1e70",
            "2e70",
            "1e400",
        ];
        for (place, one) in rising.iter().enumerate() {
            for (other_place, other) in rising.iter().enumerate() {
                let found = read(one).compare(read(other));
                assert_eq!(found, place.cmp(&other_place), "{one} and {other}");
            }
        }
    }

    #[test]
    fn a_number_has_one_normal_form() {
        for (texts, normal) in [
            (
                &["16", "16.0", "+016.", "1.6e1", "160E-1", " 16 "][..],
                "16",
            ),
            (&["0", "-0", "0.0", "0e9", "-.0"], "0"),
            (&["0.05", "5e-2", "00.0500"], "0.05"),
            (&["-12.5", "-125e-1"], "-12.5"),
            (&["1e19"], "10000000000000000000"),
            (&["12345678901234567890"], "12345678901234567890"),
            (&["1234567890123456789.1"], "1.2345678901234567891e18"),
            (&["1e20", "10e19", "100000000000000000000"], "1e20"),
            (&["-1e19"], "-1e19"),
            (&["0.125e-40", "1.25e-41"], "1.25e-41"),
            (&["1e2147483647"], "1e2147483647"),
        ] {
            for text in texts {
                assert_eq!(read(text).normal(20), normal, "{text}");
                let again = read(normal);
                assert_eq!(read(text).compare(again), Ordering::Equal, "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_decimal_is_no_number() {
        for text in [
            "",
            ".",
            "-",
            "e5",
            "1e",
            "1e1.5",
            "1.2.3",
            "--1",
            "1 6",
            "0x10",
            "inf",
            "NaN",
            "١",
            "1e99999999999",
        ] {
            assert!(Number::read(text).is_none(), "{text}");
        }
    }
}
