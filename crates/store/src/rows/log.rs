//! Logs of runs.

use taskyard_core::id::Fence;
use taskyard_core::log::{Kept, Line};
use taskyard_core::time::Timestamp;

use crate::columns::{self, BadColumn};
use crate::fields::{Database, Fields, Read};
use crate::logs::Listed;

/// About how much one row holds, in bytes, where it holds several lines: four such rows fill a page of PostgreSQL, which cuts
/// up what is longer, and two a page of SQLite. What JSON writes longer than it is counts as it is.
pub(crate) const CHUNK_BYTES: usize = 1_900;
/// About what a line takes there besides its text.
const LINE_TAKES: usize = 25;

/// Lines of one run that follow each other without a gap: a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Chunk {
    pub(crate) run: i64,
    /// The number of the last of them.
    pub(crate) seq: u32,
    /// A JSON array, in which each is `[at, stream, text]`.
    pub(crate) lines: String,
}

/// The rows of these lines, which are given with their runs, those of each run in order.
pub(crate) fn chunks(mut lines: Vec<(i64, Kept<'_>)>) -> Vec<Chunk> {
    // Where several print at once, those of one run lie apart.
    lines.sort_by_key(|(run, _)| *run);
    let mut bytes = 0;
    let takes = |line: &Kept<'_>| line.text.len() + LINE_TAKES;
    let go_together = |(run, line): &(i64, Kept<'_>), (other, next): &(i64, Kept<'_>)| {
        bytes += takes(line);
        let go_together =
            run == other && line.seq + 1 == next.seq && bytes + takes(next) <= CHUNK_BYTES;
        if !go_together {
            bytes = 0;
        }
        go_together
    };
    lines.chunk_by(go_together).filter_map(chunk).collect()
}

fn chunk(lines: &[(i64, Kept<'_>)]) -> Option<Chunk> {
    let (run, last) = lines.last()?;
    let fields = lines.iter().map(|(_, line)| {
        let stream = columns::stream_code(line.stream);
        (line.at.as_micros(), stream, &*line.text)
    });
    let lines: Vec<(i64, i16, &str)> = fields.collect();
    Some(Chunk {
        run: *run,
        seq: last.seq,
        lines: serde_json::to_string(&lines).expect("numbers and texts are always JSON"),
    })
}

/// The lines of a row, each with its number.
pub(crate) fn lines<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Vec<(u32, Line)>> {
    let last: u32 = fields.decode(|seq: i32| columns::unsigned(seq.into()))?;
    fields.decode(|text: &str| unpacked(last, text))
}

fn unpacked(last: u32, text: &str) -> Result<Vec<(u32, Line)>, BadColumn> {
    let bad = |why: &dyn std::fmt::Display| BadColumn::new("log_chunk.lines", why);
    let lines: Vec<(i64, i16, String)> = serde_json::from_str(text).map_err(|why| bad(&why))?;
    let count = u32::try_from(lines.len()).ok().filter(|count| *count > 0);
    let before = count.and_then(|count| last.checked_sub(count));
    let before = before.ok_or_else(|| bad(&"of so many lines"))?;
    let line = |(seq, (at, stream, text))| {
        let line = Line {
            at: Timestamp::from_micros(at),
            stream: columns::stream(stream)?,
            text,
        };
        Ok((seq, line))
    };
    (before + 1..).zip(lines).map(line).collect()
}

pub(crate) fn listed<D: Database>(fields: &mut Fields<'_, D>) -> Read<D, Listed> {
    Ok(Listed {
        id: fields.take()?,
        fence: Fence(fields.take()?),
        attempt: fields.take()?,
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use taskyard_core::log::Stream;

    use super::*;

    fn kept(seq: u32, text: &str) -> Kept<'_> {
        Kept {
            seq,
            at: Timestamp::from_micros(i64::from(seq)),
            stream: Stream::Stderr,
            text: Cow::Borrowed(text),
        }
    }

    /// The run of each row, and the numbers of its lines.
    fn numbers(lines: Vec<(i64, Kept<'_>)>) -> Vec<(i64, Vec<u32>)> {
        let of = |chunk: Chunk| {
            let lines = unpacked(chunk.seq, &chunk.lines).unwrap();
            (chunk.run, lines.into_iter().map(|(seq, _)| seq).collect())
        };
        chunks(lines).into_iter().map(of).collect()
    }

    #[test]
    fn lines_come_out_as_they_went_in() {
        let texts = ["", "a \"b\"\n\\", "\u{1b}[31mred\u{7}", "日本語 🦀"];
        let lines = (7..).zip(texts).map(|(seq, text)| (1, kept(seq, text)));
        let [chunk] = &chunks(lines.collect())[..] else {
            panic!("they are one row")
        };

        assert_eq!((chunk.run, chunk.seq), (1, 10));
        let told = unpacked(chunk.seq, &chunk.lines).unwrap();
        let expected = (7..).zip(texts).map(|(seq, text)| {
            let line = Line {
                at: Timestamp::from_micros(i64::from(seq)),
                stream: Stream::Stderr,
                text: text.to_owned(),
            };
            (seq, line)
        });
        assert_eq!(told, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_row_has_lines_of_one_run_without_a_gap() {
        assert_eq!(chunks(Vec::new()), []);
        let lines = [(2, 1), (1, 5), (2, 2), (1, 6), (1, 8), (1, 9)];
        let lines = lines.map(|(run, seq)| (run, kept(seq, "x")));
        assert_eq!(
            numbers(lines.into()),
            [(1, vec![5, 6]), (1, vec![8, 9]), (2, vec![1, 2])]
        );
    }

    #[test]
    fn a_row_of_several_lines_is_no_longer_than_its_room() {
        let (short, long) = ("x".repeat(70), "x".repeat(5_000));
        let lines = (1..=42).map(|seq| (1, kept(seq, if seq == 3 { &long } else { &short })));
        let chunks = chunks(lines.collect());

        let last: Vec<u32> = chunks.iter().map(|chunk| chunk.seq).collect();
        assert_eq!(last, [2, 3, 23, 42], "20 times 95 bytes have room");
        for chunk in chunks {
            assert!(chunk.seq == 3 || chunk.lines.len() <= CHUNK_BYTES);
        }
    }

    #[test]
    fn what_was_never_written_is_refused() {
        for (last, text) in [
            (1, "[[1,1,\"a\"],[2,1,\"b\"]]"),
            (1, "[[1,9,\"a\"]]"),
            (1, "[[1,1]]"),
            (1, "[]"),
            (1, "{}"),
            (1, ""),
        ] {
            let refused = unpacked(last, text).unwrap_err().to_string();
            assert!(refused.contains("log_chunk.lines"), "{refused}");
        }
    }
}
