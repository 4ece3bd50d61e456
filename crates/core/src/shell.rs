//! Words of a command that somebody is to type, or to paste, into a POSIX shell.

use std::borrow::Cow;

/// As the shell takes it for this very word, whatever stands in it (POSIX.1-2024, Shell Command Language, 2.2.2); as it
/// stands where no shell makes anything of it.
pub fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"%+-./:@_,".contains(&byte) || byte >= 0x80;
    // Blanks of other scripts are letters to a shell, but to whoever reads it they end a word.
    let is_blank = word.chars().any(char::is_whitespace);
    if !word.is_empty() && !is_blank && word.bytes().all(is_plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

/// A flag with this value, of which the shell and the command line make nothing else.
pub fn flag(name: &str, value: &str) -> String {
    let between = if value.starts_with('-') { '=' } else { ' ' };
    format!("{name}{between}{}", quoted(value))
}

/// `name=value`, as what a flag takes.
pub fn pair(name: &str, value: &str) -> String {
    format!("{}={}", quoted(name), quoted(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_a_shell_makes_something_of_it() {
        for (word, typed) in [
            ("plain-1.5_x/y:z", "plain-1.5_x/y:z"),
            ("Köln", "Köln"),
            ("", "''"),
            ("São Paulo", "'São Paulo'"),
            ("a\u{a0}b", "'a\u{a0}b'"),
            ("x; touch /tmp/y", "'x; touch /tmp/y'"),
            ("$(touch y)", "'$(touch y)'"),
            ("it's", r"'it'\''s'"),
            ("'", r"''\'''"),
            ("~", "'~'"),
            ("a!b", "'a!b'"),
            ("{a,b}", "'{a,b}'"),
            (r"a\b", r"'a\b'"),
        ] {
            assert_eq!(quoted(word), typed, "{word}");
        }
    }

    #[test]
    fn a_value_that_looks_like_a_flag_is_none() {
        assert_eq!(flag("--queues", "a b"), "--queues 'a b'");
        assert_eq!(flag("--queues", "-a"), "--queues=-a");
        assert_eq!(pair("city", "São Paulo"), "city='São Paulo'");
    }
}
