//! Where a body in chunks ends, as the HTTP library reads it (RFC 9112 §7.1): what of it the library refuses, this gives
//! up as well, and what the library takes, this has to follow.

#[derive(Default)]
pub(super) struct Chunks {
    at: At,
    /// Of the chunk that is coming so much is left.
    size: u64,
}

#[derive(Clone, Copy, Default)]
enum At {
    /// The first digit of a chunk's size.
    #[default]
    Start,
    Size,
    /// Behind the size, before the line's end.
    Padding,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The beginning of a line behind the last chunk.
    End,
    EndLf,
    Trailer,
    TrailerLf,
}

/// How far a body goes.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// All of it, and there is more to come.
    All,
    /// So many bytes, which are its last.
    End(usize),
    /// It is none.
    Nonsense,
}

impl Chunks {
    pub(super) fn take(&mut self, bytes: &[u8]) -> Taken {
        let mut taken = 0;
        while let Some(byte) = bytes.get(taken) {
            if matches!(self.at, At::Data) {
                let left = usize::try_from(self.size).unwrap_or(usize::MAX);
                let of_chunk = left.min(bytes.len() - taken);
                self.size -= of_chunk as u64;
                taken += of_chunk;
                if self.size == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            taken += 1;
            if matches!((self.at, byte), (At::EndLf, b'\n')) {
                return Taken::End(taken);
            }
            match self.next(*byte) {
                Some(next) => self.at = next,
                None => return Taken::Nonsense,
            }
        }
        Taken::All
    }

    fn next(&mut self, byte: u8) -> Option<At> {
        Some(match (self.at, byte) {
            (At::Start | At::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16)?;
                self.size = self.size.checked_mul(16)?.checked_add(digit.into())?;
                At::Size
            }
            (At::Size | At::Padding, b'\t' | b' ') => At::Padding,
            (At::Size | At::Padding, b';') => At::Extension,
            (At::Size | At::Padding | At::Extension, b'\r') => At::SizeLf,
            (At::Extension, byte) if byte != b'\n' => At::Extension,
            (At::SizeLf, b'\n') if self.size == 0 => At::End,
            (At::SizeLf, b'\n') => At::Data,
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Start,
            (At::End, b'\r') => At::EndLf,
            (At::Trailer, b'\r') => At::TrailerLf,
            (At::End | At::Trailer, _) => At::Trailer,
            (At::TrailerLf, b'\n') => At::End,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> Taken {
        Chunks::default().take(text.as_bytes())
    }

    #[test]
    fn a_body_ends_with_the_empty_line_behind_its_last_chunk() {
        for body in [
            "0\r\n\r\n",
            "000\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "A \t;x=\"y\"\r\n0\r\n\r\n0\r\n\r\n\r\n00\r\n\r\n",
            "1;\r\na\r\n0\r\n\r\n",
            "4\r\n\r\n\r\n\r\n0\r\nx: y\r\nz\n:\r\n\r\n",
        ] {
            let all = format!("{body}GET / HTTP/1.1\r\n\r\n");
            assert_eq!(taken(&all), Taken::End(body.len()), "{body:?}");
            let mut chunks = Chunks::default();
            let (last, before) = body.as_bytes().split_last().unwrap();
            for byte in before {
                assert_eq!(chunks.take(&[*byte]), Taken::All, "{body:?}");
            }
            assert_eq!(chunks.take(&[*last]), Taken::End(1), "{body:?}");
        }
    }

    #[test]
    fn what_the_library_refuses_is_given_up() {
        for body in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "1 1\r\n",
            "1\na",
            "1;x\ny\r\na",
            "1\r\nab",
            "1\r\na\n",
            "0\r\n\rx",
            "10000000000000000\r\n",
        ] {
            assert_eq!(taken(body), Taken::Nonsense, "{body:?}");
        }
    }
}
