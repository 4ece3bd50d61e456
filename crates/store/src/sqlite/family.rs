//! The names that belong to a database: of its files, of what SQLite and this store keep beside them, and of all that they
//! make there for a time. Whatever else is written under one of them may be brought into the database, or be taken away.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::file::{INDEX, JOURNAL, LOG, PARTIAL, Part, behind_links, folder_of};
use super::{lock, logs, restore};

/// What stands behind a file's name where something is kept beside it, or beside that.
const BESIDE: [&str; 7] = [
    JOURNAL,
    LOG,
    INDEX,
    lock::BESIDE,
    logs::open::BESIDE,
    restore::NEW,
    restore::NOTE,
];

/// The first file of one database that would be one of the other's, or has the other among its own.
pub(super) fn shared(one: &Path, other: &Path) -> Option<PathBuf> {
    let files = |database: &Path| Part::ALL.map(|part| part.of(database));
    let pairs = files(one)
        .into_iter()
        .flat_map(|one| files(other).map(|other| (one.clone(), other)));
    let mut shared = pairs.filter_map(|(one, other)| {
        if belongs_to(&one, &other) {
            return Some(one);
        }
        belongs_to(&other, &one).then_some(other)
    });
    shared.next()
}

/// Whether the file has a name that belongs to the other, or is a link to one that does.
pub(super) fn belongs_to(file: &Path, other: &Path) -> bool {
    let of_others = places(other);
    places(file).iter().any(|file| {
        let mut others = of_others.iter();
        others.any(|other| file.parent() == other.parent() && is_beside(file, other))
    })
}

/// The file's own name, and the one behind its links, each in the folder itself and not behind a link to that.
fn places(file: &Path) -> [PathBuf; 2] {
    [file.to_owned(), behind_links(file)].map(|file| {
        let folder = folder_of(&file).canonicalize();
        let name = file.file_name();
        let place = folder
            .ok()
            .zip(name)
            .map(|(folder, name)| folder.join(name));
        place.unwrap_or(file)
    })
}

fn is_beside(file: &Path, other: &Path) -> bool {
    let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
    let (file, other) = (bytes(file), bytes(other));
    file.strip_prefix(&other[..]).is_some_and(is_kept_beside)
}

/// Whether a name goes on like this where something is kept beside it; nothing is the file itself.
fn is_kept_beside(rest: &[u8]) -> bool {
    let beside = BESIDE.iter().map(|suffix| suffix.as_bytes());
    let behind = beside.filter_map(|suffix| rest.strip_prefix(suffix));
    rest.is_empty() || behind.chain(behind_partial(rest)).any(is_kept_beside)
}

fn behind_partial(rest: &[u8]) -> Option<&[u8]> {
    let number = rest.strip_prefix(PARTIAL.as_bytes())?;
    let digits = number.iter().take_while(|byte| byte.is_ascii_digit());
    Some(&number[digits.count()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_belongs_to_a_database_whose_files_it_could_be() {
        let check = |name: &str, belongs: bool| {
            let of = |name: &str| Path::new("/nowhere").join(name);
            assert_eq!(belongs_to(&of(name), &of("x.db")), belongs, "{name}");
        };

        for suffix in [
            "",
            "-wal",
            "-shm",
            "-journal",
            ".lock",
            ".restoring",
            ".restored",
            ".restored.logs",
            ".restored.logs-journal",
            ".logs",
            ".logs-wal",
            ".logs-shm",
            ".logs-journal",
            ".logs.partial-17",
            ".partial-17-journal",
            ".restoring.partial-3",
        ] {
            check(&format!("x.db{suffix}"), true);
        }
        for name in [
            "x",
            "y.db",
            "y.db-wal",
            "x.db2",
            "x.db.bak",
            "x.db-wal2",
            "x.db.logs.old",
            "x.db.replaced-20261128T020000Z",
        ] {
            check(name, false);
        }
        assert!(!belongs_to(Path::new("/a/x.db-wal"), Path::new("/b/x.db")));
    }
}
