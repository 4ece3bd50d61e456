//! Text in lines that a terminal has room for, broken between words. Where nobody looks, as in a pipe, it stays as it is.

use anstream::adapter::strip_str;
use unicode_width::UnicodeWidthStr as _;

/// Beside what stands on the left there is always room for this much: more lines than words help nobody.
const ROOM_MIN: usize = 20;

/// Each line within this width; what does not fit goes on below, so much further in than its line began. A word that is
/// longer stays whole: it may be an address, or a command that is copied.
pub(super) fn wrap(text: &str, within: Option<usize>, hang: usize) -> String {
    let Some(within) = within else {
        return text.to_owned();
    };
    let lines: Vec<String> = text
        .lines()
        .map(|line| broken(line, within, hang))
        .collect();
    lines.join("\n")
}

fn broken(line: &str, within: usize, hang: usize) -> String {
    if width(line) <= within {
        return line.to_owned();
    }
    let begun = line.len() - line.trim_start_matches(' ').len();
    let within = within.max(begun + hang + ROOM_MIN);
    let (mut text, mut column) = (line[..begun].to_owned(), begun);
    let mut is_first = true;
    for word in line[begun..].split(' ') {
        let next = width(word);
        if is_first {
            is_first = false;
        } else if column + 1 + next > within {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', begun + hang));
            column = begun + hang;
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += next;
    }
    text
}

/// Colours take no room.
fn width(text: &str) -> usize {
    if text.contains('\u{1b}') {
        strip_str(text).to_string().width()
    } else {
        text.width()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_go_on_further_in() {
        let check = |text: &str, within: usize, lines: &[&str]| {
            assert_eq!(wrap(text, Some(within), 2), lines.join("\n"), "{within}");
        };
        let text = "one two three four five six\n  and a hint that is long";

        check(
            text,
            27,
            &["one two three four five six", "  and a hint that is long"],
        );
        check(
            text,
            26,
            &[
                "one two three four five",
                "  six",
                "  and a hint that is long",
            ],
        );
        check(
            text,
            24,
            &[
                "one two three four five",
                "  six",
                "  and a hint that is",
                "    long",
            ],
        );
        assert_eq!(wrap(text, None, 2), text);
    }

    #[test]
    fn a_long_word_stays_whole_and_colours_take_no_room() {
        let word = "x".repeat(40);

        assert_eq!(
            wrap(&format!("retry {word} now"), Some(30), 2),
            format!("retry\n  {word}\n  now")
        );
        let tinted = "\u{1b}[31mfailed\u{1b}[0m and so it ended here";
        assert_eq!(wrap(tinted, Some(28), 2), tinted);
    }
}
