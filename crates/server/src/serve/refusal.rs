//! What is refused before there is a request: the HTTP library would answer with nothing but a status.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use http::header::CONNECTION;
use http_body_util::BodyExt;
use taskyard_api::problem::Problem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::front::Front;
use crate::problem::{self, Code};

/// What its sender still sends is read for so long, and so much of it: closing over unread bytes would take back the
/// answer on its way.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: u64 = 32 << 20;

/// The library's statuses, which are these three.
pub(super) fn of(status: u16) -> Code {
    match status {
        414 => Code::AddressTooLong,
        431 => Code::HeadTooLarge,
        _ => Code::Malformed,
    }
}

/// Who stood in between may have taken for another request what is a body here.
pub(super) fn two_lengths() -> Box<Problem> {
    let detail = "a request has Content-Length or Transfer-Encoding, not both";
    problem::at(Code::Malformed, "Content-Length", detail)
}

/// The last answer of its connection, behind which one lingers.
pub(super) async fn say(front: &Front, stream: &mut TcpStream, code: Code) -> io::Result<()> {
    let limits = front.app().limits();
    let detail = match code {
        Code::HeadTimeout => {
            let seconds = limits.head_within.as_secs();
            format!("the request's head was not whole after {seconds} s")
        }
        Code::HeadTooLarge => format!(
            "the request's head holds more than {} bytes, or more than 100 headers",
            limits.head_bytes_max
        ),
        Code::ConnectionsFull => {
            "the server has as many connections as it may, and answers requests on all of them"
                .to_owned()
        }
        Code::AddressTooLong => "the request's address is longer than 65,534 bytes".to_owned(),
        _ => "this is no HTTP/1.1 request".to_owned(),
    };
    let problem = match code {
        Code::ConnectionsFull => problem::later(code, detail, problem::SOON_MS),
        _ => problem::new(code, detail),
    };
    let response = front.refusal(problem);
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let mut head = format!("HTTP/1.1 {}\r\n", parts.status);
    // It stands behind them all, whatever the refusal is.
    for (name, value) in parts
        .headers
        .iter()
        .filter(|(name, _)| **name != CONNECTION)
    {
        let value = value.to_str().map_err(io::Error::other)?;
        write!(head, "{name}: {value}\r\n").map_err(io::Error::other)?;
    }
    let length = body.len();
    write!(
        head,
        "connection: close\r\ncontent-length: {length}\r\n\r\n"
    )
    .map_err(io::Error::other)?;
    stream.write_all(&[head.as_bytes(), &body].concat()).await?;
    stream.shutdown().await
}

/// Until the other side has closed too, or has had time to take its answer. What has come already is read at once.
pub(super) async fn linger(stream: &mut TcpStream) {
    let mut rest = stream.take(LINGER_BYTES_MAX);
    let mut sink = tokio::io::sink();
    let gone = tokio::io::copy(&mut rest, &mut sink);
    // Whoever sends on and on has had its answer.
    let _ = timeout(LINGER, gone).await;
}
