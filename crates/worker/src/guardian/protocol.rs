//! What a worker and its guardian say to each other: a length, then that much JSON.
//!
//! Both are the same build of the same program, so the messages have no versions.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The longest message that is read: room for the longest input, escaped.
pub(crate) const MESSAGE_BYTES_MAX: u32 = 64 * 1024 * 1024;

/// From the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// The first order, and no other.
    Run(Spec),
    /// End the command: SIGTERM, and SIGKILL once the grace is over.
    Stop { grace_ms: u64 },
}

/// What to run, and in what.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// The worker's process id.
    pub(crate) worker: u32,
    pub(crate) program: PathBuf,
    /// With the name that the program is told it has.
    pub(crate) argv: Vec<String>,
    /// All of it; nothing else is passed.
    pub(crate) env: Vec<(String, String)>,
    /// To be made, and removed at the end.
    pub(crate) workdir: PathBuf,
    pub(crate) stdin: Option<String>,
    pub(crate) limits: Limits,
}

/// What a command's processes may use, each; the kernel enforces it. Lower limits of the worker itself stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How many descriptors a process may have open. Default 1024.
    pub open_files: u64,
    /// The longest file a process may write, in bytes. Default 1 GiB.
    pub file_bytes: u64,
    /// The longest core dump, in bytes. Default 0: none is written.
    pub core_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            open_files: 1024,
            file_bytes: 1024 * 1024 * 1024,
            core_bytes: 0,
        }
    }
}

/// From the guardian: its only and last word, said when nothing of the command is left.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The system does not run such a command.
    NotStarted {
        message: String,
    },
    /// It did not come to that: this machine lacks what every command needs.
    NotBegun {
        message: String,
    },
    Ended(Ended),
}

/// How the command ended.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) exit_code: Option<i32>,
    /// The signal that killed it.
    pub(crate) signal: Option<i32>,
    /// Time on a processor, of the command and all its descendants.
    pub(crate) cpu_ms: u64,
    /// The most memory that one of these processes had at a time.
    pub(crate) rss_bytes_max: u64,
    /// How many descendants not even SIGKILL could end in time.
    pub(crate) survivors: usize,
}

pub(crate) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = u32::try_from(bytes.len() - 4).map_err(|_| io::ErrorKind::FileTooLarge)?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

pub(super) fn send(channel: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    channel.write_all(&encode(message)?)
}

/// The next message; none when the other side is gone.
pub(super) fn receive<T: DeserializeOwned>(channel: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match channel.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = u32::from_be_bytes(length);
    if length > MESSAGE_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length as usize];
    channel.read_exact(&mut bytes)?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}
