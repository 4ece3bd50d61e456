//! A log that is followed: records of NDJSON as they come.

use std::time::Duration;

use reqwest::{Response, Url};
use tokio::time::timeout;

use super::answer::{unexpected, unreachable};
use super::error::Error;
use super::transport::{Opened, Source};
use crate::logs::Followed;

/// The server shows every few seconds that it is there.
const SILENT_MAX: Duration = Duration::from_secs(45);
/// No record is longer: a line of the largest size that can be set, each of its bytes written as an escape.
const RECORD_BYTES_MAX: usize = 8 << 20;

/// The records of one stream, in order.
#[derive(Debug)]
pub struct Following {
    url: Url,
    response: Response,
    /// What came and was not told yet, from `told` on.
    buffer: Vec<u8>,
    told: usize,
    /// No record ends before this place.
    searched: usize,
    of: Source,
}

impl Following {
    pub(super) fn new(opened: Opened) -> Self {
        let Opened { url, response, of } = opened;
        Self {
            url,
            response,
            buffer: Vec::new(),
            told: 0,
            searched: 0,
            of,
        }
    }

    /// The next record; none where the stream broke off before its end. Then, as after an error that is worth
    /// repeating, it may be asked for again behind the last line, which another server is if there are several. Behind its
    /// end there is nothing to ask for.
    pub async fn next(&mut self) -> Result<Option<Followed>, Error> {
        loop {
            while let Some(record) = self.record() {
                if let Some(followed) = self.read(&record)? {
                    return Ok(Some(followed));
                }
            }
            match self.more().await {
                Ok(true) => {}
                broken => {
                    self.of.broke_off();
                    return broken.map(|_| None);
                }
            }
        }
    }

    /// None where it is an empty line.
    fn read(&self, record: &[u8]) -> Result<Option<Followed>, Error> {
        let record = record.trim_ascii();
        if record.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(record).map(Some).map_err(|error| {
            let status = self.response.status();
            unexpected(self.url.clone(), status, record, &error)
        })
    }

    /// One that is whole, if there is one.
    fn record(&mut self) -> Option<Vec<u8>> {
        let unknown = &self.buffer[self.searched..];
        let Some(end) = unknown.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return None;
        };
        let end = self.searched + end;
        let record = self.buffer[self.told..end].to_vec();
        (self.told, self.searched) = (end + 1, end + 1);
        Some(record)
    }

    /// Whether something more came.
    async fn more(&mut self) -> Result<bool, Error> {
        self.buffer.drain(..self.told);
        self.searched -= self.told;
        self.told = 0;
        if self.buffer.len() > RECORD_BYTES_MAX {
            return Ok(false);
        }
        match timeout(SILENT_MAX, self.response.chunk()).await {
            Ok(Ok(Some(piece))) => {
                self.buffer.extend_from_slice(&piece);
                Ok(true)
            }
            Ok(Ok(None)) | Err(_) => Ok(false),
            Ok(Err(source)) => Err(unreachable(self.url.clone(), source)),
        }
    }
}
