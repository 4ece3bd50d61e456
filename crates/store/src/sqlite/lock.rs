//! The file beside the database: its lock keeps a second server away, its content tells an unclean stop, and who holds
//! it.
//!
//! SQLite's own locks are held only while it reads or writes. This one lasts as long as the store, and the system
//! drops it with the process, however that ends. The file itself stays, for a lock on a file that others may delete
//! and make again protects nothing. Whoever deletes it all the same is met by a second lock, on the database's own
//! file. Only a start that is refused before it has said anything takes the file away again that it made: nothing is left
//! beside what is no database of ours.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process;

/// Somebody has it, and has written nothing yet, so there need not be a log.
const HELD: &str = "held";
/// A server runs, and its log stands beside the database until it stops in order. (One that began on a full disk, and was
/// killed before there was room, had none: then the next start misses what never was.)
const RUNNING: &str = "running";
const PROCESS: &str = "process ";
const LISTENS_ON: &str = "listens on ";
/// What stands behind the database's name in that of the file.
pub(super) const BESIDE: &str = ".lock";

/// Who keeps others away, as far as it has said so: for messages alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    process: Option<u32>,
    listens_on: Option<SocketAddr>,
}

impl Holder {
    fn this_process(listens_on: Option<SocketAddr>) -> Self {
        Self {
            process: Some(process::id()),
            listens_on,
        }
    }

    fn read(text: &str) -> Self {
        let said = |what: &str| text.lines().find_map(|line| line.strip_prefix(what));
        Self {
            process: said(PROCESS).and_then(|number| number.parse().ok()),
            listens_on: said(LISTENS_ON).and_then(|address| address.parse().ok()),
        }
    }

    fn text(&self) -> String {
        let process = self.process.map(|number| format!("{PROCESS}{number}\n"));
        let listens_on = self.listens_on;
        let listens_on = listens_on.map(|address| format!("{LISTENS_ON}{address}\n"));
        [process, listens_on].into_iter().flatten().collect()
    }
}

/// What stands behind a word for it; nothing where nothing is known.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(process) = self.process else {
            return Ok(());
        };
        write!(f, " (process {process}")?;
        if let Some(address) = self.listens_on {
            write!(f, ", which listens on {address}")?;
        }
        f.write_str(")")
    }
}

pub(super) struct Lock {
    beside: File,
    /// There was no such file before.
    is_made: bool,
    /// The database's file, for its lock alone. Closed only when nothing else of this process has that file open: with
    /// any descriptor of it, the system takes SQLite's own locks away.
    database: Option<File>,
    /// Whose it is, as it stands in the file.
    by: String,
    /// The last server on this database ended without saying so.
    pub(super) after_unclean_stop: bool,
    /// The log that it had must still be there.
    pub(super) expects_log: bool,
}

fn beside(database: &Path) -> PathBuf {
    let mut path = OsString::from(database);
    path.push(BESIDE);
    path.into()
}

/// A server runs on this database, or the last one ended without saying so, and there was a log. Takes hold of nothing.
pub(super) fn tells_of_a_log(database: &Path) -> bool {
    fs::read(beside(database)).is_ok_and(|said| says_running(&said))
}

/// Older programs said so before they had a log, too.
fn says_running(said: &[u8]) -> bool {
    said.starts_with(RUNNING.as_bytes())
}

/// Who has it, where it could not be taken. One that lost the file beside the database is not known.
pub(super) fn holder(database: &Path) -> Holder {
    let said = fs::read_to_string(beside(database));
    said.map(|text| Holder::read(&text)).unwrap_or_default()
}

/// `None`: somebody else holds it.
pub(super) fn take(database: &Path) -> io::Result<Option<Lock>> {
    let path = beside(database);
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let (beside, is_made) = match options.clone().create_new(true).open(&path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            (options.create(true).truncate(false).open(&path)?, false)
        }
        made => (made?, true),
    };
    Ok(is_free(&beside)?.then(|| Lock {
        beside,
        is_made,
        database: None,
        by: String::new(),
        after_unclean_stop: false,
        expects_log: false,
    }))
}

/// The lock of this file alone, for one that belongs to a database whose own lock is held; nothing in it is changed. To
/// be closed when nothing else of this process has the file open, as [`Lock::hold`] says. `None`: somebody else holds it.
pub(super) fn alone(path: &Path) -> io::Result<Option<Option<File>>> {
    if !cfg!(target_os = "linux") {
        return Ok(Some(None));
    }
    let file = File::open(path)?;
    Ok(is_free(&file)?.then_some(Some(file)))
}

/// A database that is about to be replaced as it stands, kept from servers until then. Makes no file.
pub(super) struct Replaced {
    beside: Option<File>,
    /// The files themselves, for their locks alone.
    _files: Vec<File>,
}

impl Replaced {
    /// `None`: somebody else has one of these files, of which any may be missing, open as its own.
    pub(super) fn hold(database: &Path, files: &[PathBuf]) -> io::Result<Option<Self>> {
        let beside = if_there(OpenOptions::new().write(true).open(beside(database)))?;
        // Of a pipe the opening would wait for its other end.
        let are_files = files.iter().filter(|path| path.is_file());
        let on_linux = are_files.filter(|_| cfg!(target_os = "linux"));
        let opened = on_linux.map(|path| if_there(File::open(path)));
        let files: Vec<File> = opened
            .filter_map(Result::transpose)
            .collect::<io::Result<_>>()?;
        for file in beside.iter().chain(&files) {
            if !is_free(file)? {
                return Ok(None);
            }
        }
        Ok(Some(Self {
            beside,
            _files: files,
        }))
    }

    /// What the last server on it said about its log is not true of what took its place.
    pub(super) fn give_up(self) -> io::Result<()> {
        self.beside.map_or(Ok(()), |beside| beside.set_len(0))
    }
}

fn if_there(opened: io::Result<File>) -> io::Result<Option<File>> {
    match opened {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// Whether nobody else holds this file's lock; now this process does.
fn is_free(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Lock {
    /// Takes the database's file as well, and says who holds it, and where that listens, if anywhere. False: somebody else
    /// holds it, who has lost the file beside it.
    ///
    /// SQLite locks ranges of bytes in that file (`fcntl`), and this the file as a whole (`flock`): on Linux the two kinds
    /// never meet. Elsewhere they may, and there is only the file beside.
    pub(super) fn hold(
        &mut self,
        database: &Path,
        listens_on: Option<SocketAddr>,
    ) -> io::Result<bool> {
        if cfg!(target_os = "linux") {
            let file = self.database.insert(File::open(database)?);
            if !is_free(file)? {
                return Ok(false);
            }
        }
        let mut said = Vec::new();
        self.beside.rewind()?;
        self.beside.read_to_end(&mut said)?;
        self.after_unclean_stop = !said.is_empty();
        self.expects_log = says_running(&said);
        self.by = Holder::this_process(listens_on).text();
        // Whoever is killed before it has a log of its own leaves what was found.
        self.say(if self.expects_log { RUNNING } else { HELD })?;
        Ok(true)
    }

    /// A log is there, or comes with the first batch, and stays until the server stops in order.
    pub(super) fn has_log(&mut self) -> io::Result<()> {
        self.say(RUNNING)
    }

    /// It is about to be moved into the database and taken away, and nothing is acknowledged any more.
    pub(super) fn log_goes(&mut self) -> io::Result<()> {
        self.say(HELD)
    }

    /// What it was taken for is refused before anything was said in it: gives it away, and takes the file away if it was
    /// made for this. Whoever has that open already is refused for the same reason.
    pub(super) fn was_for_nothing(self, database: &Path) {
        if self.is_made {
            let _ = fs::remove_file(beside(database));
        }
    }

    fn say(&mut self, word: &str) -> io::Result<()> {
        let says = format!("{word}\n{}", self.by);
        self.beside.rewind()?;
        self.beside.write_all(says.as_bytes())?;
        // Never empty in between.
        self.beside.set_len(says.len() as u64)?;
        self.beside.sync_all()
    }

    /// Nothing was written since it was taken; gives it away, and says again what was said before. A log that was moved
    /// into the database meanwhile is missed by nobody.
    pub(super) fn did_not_begin(mut self, moved_log: bool) -> io::Result<()> {
        if !self.after_unclean_stop {
            return self.stopped_clean();
        }
        if moved_log {
            self.say(HELD)?;
        }
        Ok(())
    }

    /// Everything is written and closed; gives the lock away.
    pub(super) fn stopped_clean(self) -> io::Result<()> {
        self.beside.set_len(0)?;
        self.beside.sync_all()
    }
}
