//! Lines of logs, both ways; the query of a log; and its cursors, each of which is good for the log of one task.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use taskyard_api::logs::{AppendLogs, AppendedLogs, LogLine, NewLine, Stream};
use taskyard_api::problem::Problem;
use taskyard_core::id::{Fence, TaskId};
use taskyard_core::log::{self, Appended, Line, Position, SEQ_MAX, Told, Wanted};
use taskyard_core::rows::Digest;
use taskyard_core::time::Timestamp;

use super::faults::{Faults, Place};
use super::list::{LIMIT_MAX, limit};
use crate::problem::{self, Code};
use crate::query::Params;

/// Bytes of the task's digest in a cursor.
const BOUND: usize = 4;
const KNOWN: &[&str] = &["attempt", "stream", "limit", "cursor", "follow"];

/// Lines as they are kept, and the number of the first of them.
pub(crate) fn lines(
    append: &AppendLogs,
    now: Timestamp,
) -> Result<(Option<u32>, Vec<Line>), Box<Problem>> {
    let mut faults = Faults::default();
    let first = append.first_seq.map(|first| {
        let numbers = 1..=i64::from(SEQ_MAX);
        let first = faults.ranged(Place::ROOT, "first_seq", i64::from(first), numbers);
        u32::try_from(first).unwrap_or(1)
    });
    let numbered = first.map_or(0, |first| {
        append.lines.len() + usize::try_from(first).unwrap_or(usize::MAX) - 1
    });
    if faults.is_empty() && numbered > SEQ_MAX as usize {
        let detail = format!(
            "leaves no numbers for all of the lines, of which {SEQ_MAX} is the last; count them from 1 within the run"
        );
        faults.add(Place::ROOT, "first_seq", detail);
    }
    let lines = append.lines.iter().enumerate();
    let lines = lines.map(|(index, line)| {
        let text = text(line, Place::element("/lines", index), &mut faults);
        Line {
            at: line.at.map_or(now, Timestamp::from),
            stream: inward(line.stream),
            text,
        }
    });
    let lines = lines.collect();
    faults.check()?;
    Ok((first, lines))
}

fn text(line: &NewLine, place: Place, faults: &mut Faults) -> String {
    if line.line.contains('\n') {
        let detail = "must not hold a line break; send the parts as lines of their own";
        faults.add(place, "line", detail);
    }
    if line.line.contains('\0') {
        let detail = "must not hold NUL; write something else in its place, such as U+FFFD";
        faults.add(place, "line", detail);
    }
    line.line.clone()
}

pub(crate) fn appended(appended: Appended) -> AppendedLogs {
    AppendedLogs {
        next_seq: appended.next_seq,
        full: appended.is_full,
    }
}

/// What a query asks for, and whether to follow.
pub(crate) fn read(task: TaskId, query: Option<&str>) -> Result<(Wanted, bool), Box<Problem>> {
    let params = Params::read(query, KNOWN, &[])?;
    let invalid = |name: &str, detail: &str| problem::at(Code::Invalid, name, detail);
    let follow = match params.get("follow") {
        None | Some("false" | "0") => false,
        Some("true" | "1") => true,
        Some(_) => return Err(invalid("follow", "must be true or false")),
    };
    if follow && params.get("limit").is_some() {
        let detail = "is for pages; with follow=true the log is told to its end";
        return Err(invalid("limit", detail));
    }
    let stream = match params.get("stream") {
        None => None,
        Some("stdout") => Some(log::Stream::Stdout),
        Some("stderr") => Some(log::Stream::Stderr),
        Some("worker") => Some(log::Stream::Worker),
        Some(_) => return Err(invalid("stream", "must be stdout, stderr or worker")),
    };
    let attempt = match params.get("attempt") {
        None => None,
        Some(_) => Some(params.number("attempt", 1, u64::from(SEQ_MAX), 1)?),
    };
    let after = match params.get("cursor") {
        None => Position::default(),
        Some(cursor) => after(cursor, task).ok_or_else(|| {
            invalid(
                "cursor",
                "not a cursor of this log; begin again without one",
            )
        })?,
    };
    let limit = limit(&params)?;
    let wanted = Wanted {
        task,
        after,
        attempt: attempt.map(|attempt| i32::try_from(attempt).unwrap_or(i32::MAX)),
        stream,
        limit: if follow { LIMIT_MAX as usize } else { limit },
    };
    Ok((wanted, follow))
}

pub(crate) fn line(task: TaskId, told: Told, with_cursor: bool) -> LogLine {
    let Told {
        attempt,
        position,
        line,
    } = told;
    LogLine {
        seq: position.seq,
        at: line.at.into(),
        attempt: attempt.unsigned_abs(),
        stream: outward(line.stream),
        line: line.text,
        cursor: with_cursor.then(|| cursor(task, position)),
    }
}

/// Where what stands behind this place begins.
pub(crate) fn cursor(task: TaskId, position: Position) -> String {
    let mut bytes = Vec::with_capacity(8 + BOUND);
    bytes.extend(position.fence.0.to_be_bytes());
    bytes.extend(position.seq.to_be_bytes());
    bytes.extend(bound_to(task));
    URL_SAFE_NO_PAD.encode(bytes)
}

fn after(cursor: &str, task: TaskId) -> Option<Position> {
    let bytes: [u8; 8 + BOUND] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
    let (fence, rest) = bytes.split_first_chunk()?;
    let (seq, bound) = rest.split_first_chunk()?;
    let position = Position {
        fence: Fence(i32::from_be_bytes(*fence)),
        seq: u32::from_be_bytes(*seq),
    };
    let is_plausible = position.fence >= Fence(0) && position.seq <= SEQ_MAX;
    (is_plausible && *bound == bound_to(task)).then_some(position)
}

fn bound_to(task: TaskId) -> [u8; BOUND] {
    let digest = Digest::of(format!("the log of {task}").as_bytes());
    *digest.0.first_chunk().expect("a digest is longer")
}

fn inward(stream: Stream) -> log::Stream {
    match stream {
        Stream::Stdout => log::Stream::Stdout,
        Stream::Stderr => log::Stream::Stderr,
        Stream::Worker => log::Stream::Worker,
    }
}

fn outward(stream: log::Stream) -> Stream {
    match stream {
        log::Stream::Stdout => Stream::Stdout,
        log::Stream::Stderr => Stream::Stderr,
        log::Stream::Worker => Stream::Worker,
    }
}
