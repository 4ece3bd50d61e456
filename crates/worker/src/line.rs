//! One line of a log, and what is left of one that is too long.

/// The longest line that servers take unless they are set otherwise, and that a worker sends on.
pub(crate) const LINE_BYTES_MAX: usize = 16 << 10;

/// So much of the beginning as fits, with a word in the place of the rest; `more` bytes of it are not here.
pub(crate) fn shortened(line: &str, more: u64, bytes_max: usize) -> String {
    if more == 0 && line.len() <= bytes_max {
        return line.to_owned();
    }
    let said = |cut: u64| format!("… {cut} bytes of this line left out …");
    let all = more + line.len() as u64;
    let end = line.floor_char_boundary(bytes_max.saturating_sub(said(all).len()));
    format!("{}{}", &line[..end], said(all - end as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, more: u64, expected: &str) {
        let cut = shortened(line, more, 50);
        assert_eq!(cut, expected);
        assert!(cut.len() <= 50, "{}", cut.len());
    }

    #[test]
    fn a_long_line_is_cut_to_its_limit_with_a_word() {
        let x = |times| "x".repeat(times);
        check("", 0, "");
        check(&x(50), 0, &x(50));
        check(
            &x(51),
            0,
            &format!("{}… 39 bytes of this line left out …", x(12)),
        );
        check(
            &"ä".repeat(26),
            0,
            &format!("{}… 40 bytes of this line left out …", "ä".repeat(6)),
        );
        check(
            &x(20),
            1_000_000,
            "xxxxxxx… 1000013 bytes of this line left out …",
        );
        // A word that is longer than the line may be.
        assert_eq!(
            shortened(&x(100), 0, 5),
            "… 100 bytes of this line left out …"
        );
    }
}
