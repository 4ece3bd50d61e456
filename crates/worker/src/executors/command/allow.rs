//! Which programs the operator lets tasks run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::program;
use crate::executor::Failure;
use crate::executors::list::words;

/// What `--allow-command` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allow {
    #[default]
    Nothing,
    Any,
    /// Absolute paths, and names to be found in the worker's `PATH`.
    Programs(Vec<PathBuf>),
}

/// `any`, or programs with commas between them. Where the worker happens to be started is nobody's business, so a path is
/// a whole one.
impl FromStr for Allow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = words(text)?;
        Ok(match words[..] {
            [] => return Err("it names no program; leave it out to allow none".to_owned()),
            ["any"] => Self::Any,
            _ => Self::Programs(words.into_iter().map(allowed).collect::<Result<_, _>>()?),
        })
    }
}

fn allowed(word: &str) -> Result<PathBuf, String> {
    if word == "any" {
        return Err("`any` allows every program, so it stands alone".to_owned());
    }
    if word.contains('/') && !word.starts_with('/') {
        return Err(format!(
            "{word:?} is no whole path; expected one that begins with /, or a name to be found in PATH"
        ));
    }
    Ok(PathBuf::from(word))
}

impl Allow {
    /// Those of the allowed programs that are not there, and so can be run by nobody.
    pub fn missing<'a>(&'a self, path: &'a OsStr) -> impl Iterator<Item = &'a Path> {
        let programs = match self {
            Self::Programs(programs) => programs.as_slice(),
            Self::Nothing | Self::Any => &[],
        };
        let is_missing = |program: &&Path| program::of_operator(program, path).is_none();
        programs.iter().map(PathBuf::as_path).filter(is_missing)
    }

    /// Refuses a program that is not one of the allowed files, whatever path leads to it.
    ///
    /// The name has to be the same too: some files are many programs and choose by the name they are called with, and
    /// with `ls` allowed one of those must not run as `rm`.
    ///
    /// The refusal stands, though another worker may allow more: whether one does is for operators to say, who keep
    /// workers with different lists apart by queues or labels.
    pub(super) fn check(
        &self,
        word: &str,
        found: &Path,
        path: &OsStr,
        worker: &str,
    ) -> Result<(), Failure> {
        let allowed = match self {
            Self::Any => true,
            Self::Nothing => false,
            Self::Programs(programs) => {
                let same_name = programs
                    .iter()
                    .filter(|program| program.file_name() == found.file_name());
                let files = same_name.filter_map(|program| program::of_operator(program, path));
                let real = found.canonicalize().ok();
                files
                    .filter_map(|file| file.canonicalize().ok())
                    .any(|file| Some(&file) == real.as_ref())
            }
        };
        if allowed {
            return Ok(());
        }
        let message = format!(
            "worker {worker} may not run `{word}`; its operator can allow it with --allow-command {}",
            found.display()
        );
        Err(Failure::lasting("command_not_allowed", message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Allow) {
        assert_eq!(text.parse(), Ok(expected), "{text:?}");
    }

    #[test]
    fn flag_is_any_or_a_list() {
        check("any", Allow::Any);
        check("wc", Allow::Programs(vec!["wc".into()]));
        check(
            "wc, /usr/bin/sort",
            Allow::Programs(vec!["wc".into(), "/usr/bin/sort".into()]),
        );
    }

    #[test]
    fn what_names_no_program_is_refused() {
        for text in [
            "", ",", " ", "wc,", ",wc", "wc,,sort", "any, ", "any,wc", "./wc", "bin/wc", "~/wc",
        ] {
            assert!(text.parse::<Allow>().is_err(), "{text:?}");
        }
    }
}
