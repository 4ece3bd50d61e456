//! A batch as a stream of lines (NDJSON), of which only a piece is ever held.
//!
//! A piece is 10,000 tasks, or 16 MiB of lines if that is less, and is stored whole or not at all, so a stream of one
//! piece is atomic like an array. Beyond that each piece has a key of its own, made from the request's
//! `Idempotency-Key`: the same stream sent again finds the pieces that were stored and goes on behind them. Without a
//! key the answer to a stream that broke off still says how many of its tasks are stored.

use std::sync::Arc;

use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use serde_json::value::RawValue;
use taskyard_api::problem::Problem;
use taskyard_api::submit::Submit;
use taskyard_core::id::TaskId;
use taskyard_core::rows::{Digest, Digesting, IdempotencyKey};
use taskyard_core::verbs::submit::{self, NewTask};

use super::{nothing, refused};
use crate::app::App;
use crate::body::Pieces;
use crate::budget::Held;
use crate::problem::{self, Code};
use crate::request;
use crate::response::Refusal;
use crate::wire::faults::{Faults, Place};
use crate::wire::new_task::new_task;

/// Stores the tasks of the lines and answers their ids.
pub(super) async fn store(
    app: &App,
    body: Body,
    key: Option<IdempotencyKey>,
) -> Result<Vec<TaskId>, Refusal> {
    let mut stream = Stream {
        app,
        key,
        lines: Lines::new(app, body),
        piece: Piece::new(app),
        pieces: 0,
        stored: Vec::new(),
    };
    match stream.run().await {
        Ok(()) => Ok(stream.stored),
        Err(refusal) => Err(stream.told(refusal)),
    }
}

struct Stream<'a> {
    app: &'a App,
    key: Option<IdempotencyKey>,
    lines: Lines<'a>,
    piece: Piece,
    /// How many were stored.
    pieces: usize,
    stored: Vec<TaskId>,
}

/// What is stored at once.
struct Piece {
    tasks: Vec<NewTask>,
    /// Where each came from, for errors.
    lines: Vec<usize>,
    bytes: usize,
    held: Held,
    digest: Digesting,
}

impl Stream<'_> {
    async fn run(&mut self) -> Result<(), Refusal> {
        while let Some(line) = self.lines.next().await? {
            if self.piece.is_full(self.app, line.len()) {
                self.store_piece(false).await?;
            }
            let max = self.app.limits().stream_tasks_max;
            if self.stored.len() + self.piece.tasks.len() == max {
                let detail = format!("one stream holds at most {max} tasks");
                return Err(problem::new(Code::TooLarge, detail).into());
            }
            self.take(&line)?;
        }
        if self.piece.tasks.is_empty() {
            return Err(nothing().into());
        }
        self.store_piece(true).await
    }

    fn take(&mut self, line: &[u8]) -> Result<(), Box<Problem>> {
        let number = self.lines.number;
        let task = read(self.app, line).map_err(|problem| in_line(problem, number))?;
        self.piece.held.hold(self.piece.bytes + line.len())?;
        self.piece.digest.update(line);
        self.piece.digest.update(b"\n");
        self.piece.bytes += line.len();
        self.piece.tasks.push(task);
        self.piece.lines.push(number);
        Ok(())
    }

    async fn store_piece(&mut self, is_last: bool) -> Result<(), Refusal> {
        let piece = std::mem::replace(&mut self.piece, Piece::new(self.app));
        let ids: Vec<TaskId> = piece.tasks.iter().map(|task| task.id).collect();
        let once = self.key.as_ref().map(|key| {
            let key = IdempotencyKey {
                scope: Arc::clone(&key.scope),
                key: piece_key(&key.key, self.pieces),
            };
            (key, finish(piece.digest, is_last))
        });
        let stored = self.app.engine().submit(submit::Submit {
            tasks: piece.tasks,
            once,
            again: false,
        });
        let stored =
            stored
                .await
                .map_err(|error| match refused(&error, &ids, |_| Place::ROOT) {
                    (problem, Some(index)) => in_line(problem, piece.lines[index]),
                    (problem, None) => problem,
                })?;
        self.stored.extend_from_slice(&stored.ids);
        self.pieces += 1;
        self.lines.pieces.begin_again();
        Ok(())
    }

    /// Says how much is stored nevertheless.
    fn told(&self, mut refusal: Refusal) -> Refusal {
        if !self.stored.is_empty() {
            let detail = refusal.0.detail.take().unwrap_or_default();
            let stored = self.stored.len();
            let how = if refusal.0.code == Code::IdempotencyKeyReused.word() {
                "what comes behind them was sent otherwise under this key; send the stream as it was then, or what \
                 comes behind them under another key"
            } else if self.key.is_some() {
                "sent again with the same Idempotency-Key, the stream goes on behind them"
            } else {
                "only send what comes behind them"
            };
            refusal.0.detail = Some(format!(
                "{detail}; its first {stored} tasks are stored: {how}"
            ));
        }
        refusal
    }
}

impl Piece {
    fn new(app: &App) -> Self {
        Self {
            tasks: Vec::new(),
            lines: Vec::new(),
            bytes: 0,
            held: app.bodies().nothing(),
            digest: Digesting::default(),
        }
    }

    fn is_full(&self, app: &App, more: usize) -> bool {
        let limits = app.limits();
        self.tasks.len() == limits.tasks_max
            || (!self.tasks.is_empty() && self.bytes + more > limits.bulk_max)
    }
}

/// The first piece has the request's own key. No key of a request holds a space.
fn piece_key(key: &Arc<str>, pieces: usize) -> Arc<str> {
    if pieces == 0 {
        Arc::clone(key)
    } else {
        format!("{key} {pieces}").into()
    }
}

/// Whether more follows counts as well: a stream that was cut short is another one.
fn finish(mut digest: Digesting, is_last: bool) -> Digest {
    digest.update(&[u8::from(is_last)]);
    digest.finish()
}

fn read(app: &App, line: &[u8]) -> Result<NewTask, Box<Problem>> {
    let submitted: Submit<&RawValue> = request::parse(app, line)?;
    let mut faults = Faults::default();
    let task = new_task(app, &submitted, Place::ROOT, &mut faults);
    faults.check()?;
    Ok(task.expect("a task that is not made has its fault named"))
}

/// Pointers are within the line, so the line is named beside them.
fn in_line(mut problem: Box<Problem>, number: usize) -> Box<Problem> {
    let named = |detail: &str| format!("line {number}: {detail}");
    problem.detail = Some(named(problem.detail.as_deref().unwrap_or_default()));
    for error in &mut problem.errors {
        error.detail = named(&error.detail);
    }
    problem
}

/// The lines of a body, as they come.
struct Lines<'a> {
    pieces: Pieces<'a>,
    buffer: BytesMut,
    held: Held,
    /// Bytes of a line.
    max: usize,
    /// So much of the buffer holds no end of a line.
    looked_at: usize,
    /// Of the line that was answered last, from 1.
    number: usize,
    is_over: bool,
}

impl<'a> Lines<'a> {
    fn new(app: &'a App, body: Body) -> Self {
        Self {
            pieces: Pieces::of(app, body),
            buffer: BytesMut::new(),
            held: app.bodies().nothing(),
            max: app.limits().submit_body(),
            looked_at: 0,
            number: 0,
            is_over: false,
        }
    }

    /// The next line that is not blank, without its end.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let Some(line) = self.any_line().await? else {
                return Ok(None);
            };
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    async fn any_line(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let fresh = &self.buffer[self.looked_at..];
            let end = fresh.iter().position(|byte| *byte == b'\n');
            let end = end.map(|end| self.looked_at + end);
            self.looked_at = end.unwrap_or(self.buffer.len());
            if self.looked_at > self.max {
                let detail = format!("longer than {} bytes", self.max);
                let problem = problem::new(Code::TooLarge, detail);
                return Err(in_line(problem, self.number + 1).into());
            }
            if let Some(end) = end {
                let line = self.buffer.split_to(end).freeze();
                self.buffer.advance(1);
                return Ok(Some(self.counted(line)));
            }
            if self.is_over {
                let rest = self.buffer.split().freeze();
                return Ok((!rest.is_empty()).then(|| self.counted(rest)));
            }
            match self.pieces.next().await? {
                Some(more) => {
                    self.held.hold(self.buffer.len() + more.len())?;
                    self.buffer.extend_from_slice(&more);
                }
                None => self.is_over = true,
            }
        }
    }

    fn counted(&mut self, line: Bytes) -> Bytes {
        self.looked_at = 0;
        self.number += 1;
        line
    }
}
