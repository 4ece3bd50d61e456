//! From the first word of a command to a file.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::executor::Failure;

/// The file that this word means: an absolute path as it is, a plain name by the `PATH`.
///
/// Links are not followed: a program may behave differently by the path it was started with.
pub(super) fn find(word: &str, path: &OsStr) -> Result<PathBuf, Failure> {
    let file = Path::new(word);
    if file.is_absolute() {
        return if is_program(file) {
            Ok(file.to_owned())
        } else {
            Err(not_found(&format!("{word} is no program")))
        };
    }
    if word.contains('/') {
        // It would be looked for in the work directory, which is empty.
        let message = format!(
            "{word} is a relative path; give an absolute one, or a name to be found in the PATH"
        );
        return Err(not_found(&message));
    }
    search(OsStr::new(word), path).ok_or_else(|| {
        not_found(&format!(
            "there is no program `{word}` in the PATH of this worker ({})",
            path.display()
        ))
    })
}

/// The file that the operator means by a program's path, or by its name.
pub(super) fn of_operator(program: &Path, path: &OsStr) -> Option<PathBuf> {
    if program.is_absolute() {
        Some(program.to_owned()).filter(|file| is_program(file))
    } else {
        search(program.as_os_str(), path)
    }
}

/// The first program of that name. Relative directories of a `PATH` mean another place to every process.
pub(super) fn search(name: &OsStr, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

fn not_found(message: &str) -> Failure {
    Failure::lasting("command_not_found", message)
}
