//! Numbers: their grammar, and which of them every reader can hold.

use super::Reason;
use super::scan::{Scanned, Scanner};

/// Digits up to which a number is known to fit without computing it.
const INTEGER_DIGITS_SAFE: usize = 18;
const WHOLE_DIGITS_SAFE: usize = 200;
const EXPONENT_DIGITS_SAFE: usize = 2;

impl Scanner<'_> {
    pub(super) fn number(&mut self) -> Scanned {
        let start = self.at;
        if self.eat(b'-') && self.rest().starts_with("Infinity") {
            return Err(self.fault(start, Reason::NotFinite));
        }
        // A zero stands alone before the point: `01` is refused by whoever comes next.
        let whole_digits = if self.eat(b'0') { 1 } else { self.digits()? };
        let fraction_digits = if self.eat(b'.') { self.digits()? } else { 0 };
        let mut exponent_digits = 0;
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            exponent_digits = self.digits()?;
        }

        let written = &self.text[start..self.at];
        if fraction_digits + exponent_digits == 0 {
            let fits = whole_digits <= INTEGER_DIGITS_SAFE
                || written.parse::<u64>().is_ok()
                || written.parse::<i64>().is_ok();
            if fits {
                Ok(())
            } else {
                Err(self.fault(start, Reason::IntegerTooLarge))
            }
        } else {
            let fits = (whole_digits <= WHOLE_DIGITS_SAFE
                && exponent_digits <= EXPONENT_DIGITS_SAFE)
                || written.parse::<f64>().is_ok_and(f64::is_finite);
            if fits {
                Ok(())
            } else {
                Err(self.fault(start, Reason::NumberTooLarge))
            }
        }
    }

    /// One digit or more; answers how many.
    fn digits(&mut self) -> Scanned<usize> {
        let count = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        self.at += count;
        if count == 0 {
            Err(self.unexpected("a digit"))
        } else {
            Ok(count)
        }
    }
}
