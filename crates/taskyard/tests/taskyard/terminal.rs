//! A command on a terminal of its own, as its user would see it.

use std::fs::File;
use std::io::Read as _;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

use nix::pty::{Winsize, openpty};

use crate::yard::{PATIENCE, Process};

pub(crate) struct Terminal {
    pub(crate) process: Process,
    /// What the command has written, piece by piece; it ends when nobody has the terminal open any more.
    written: Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Terminal {
    /// Both outputs of the command go to it, so many columns wide and 24 rows high.
    pub(crate) fn start(mut command: Command, columns: u16) -> Self {
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(Some(&size), None).unwrap();
        let stderr = pty.slave.try_clone().unwrap();
        command
            .stdout(pty.slave)
            .stderr(stderr)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR");
        let child = command.spawn().unwrap();
        // It keeps the other end open.
        drop(command);
        let (sender, written) = channel();
        let mut screen = File::from(pty.master);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            // It fails once nobody has the other end open.
            while let Ok(read @ 1..) = screen.read(&mut piece) {
                if sender.send(piece[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            process: Process::of(child),
            written,
            seen: Vec::new(),
        }
    }

    /// What was written from when this was asked last until there is something with all of these words in it.
    pub(crate) fn until(&mut self, words: &[&str]) -> String {
        loop {
            let seen = String::from_utf8_lossy(&self.seen).into_owned();
            if words.iter().all(|word| seen.contains(word)) {
                self.seen.clear();
                return seen;
            }
            match self.written.recv_timeout(PATIENCE) {
                Ok(piece) => self.seen.extend(piece),
                Err(_) => panic!("{words:?} never came: {seen:?}"),
            }
        }
    }

    /// What it writes until it ends.
    pub(crate) fn rest(mut self) -> (Option<i32>, String) {
        self.seen.extend(self.written.iter().flatten());
        let code = self.process.wait().code();
        (code, String::from_utf8_lossy(&self.seen).into_owned())
    }
}
