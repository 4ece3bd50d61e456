//! A way to a server on which answers are lost.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use crate::yard::Server;

/// What becomes of one request.
pub(crate) enum Fate {
    Passes,
    /// It is served, and nobody hears of it.
    IsLost,
    /// This status and body instead.
    IsAnswered(u16, Value),
}

/// A way to the server that counts requests. `fate` is told their texts, and of submits how many there were before.
pub(crate) fn way_to(
    server: &Server,
    fate: impl Fn(&str, usize) -> Fate + Send + Sync + 'static,
) -> (String, Arc<AtomicUsize>) {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", door.local_addr().unwrap());
    let behind = server.url.trim_start_matches("http://").to_owned();
    let (submits, fate) = (Arc::new(AtomicUsize::new(0)), Arc::new(fate));
    let counted = Arc::clone(&submits);
    thread::spawn(move || {
        for caller in door.incoming() {
            let (behind, counted, fate) = (behind.clone(), Arc::clone(&counted), Arc::clone(&fate));
            thread::spawn(move || carry(caller.unwrap(), &behind, &counted, &*fate));
        }
    });
    (url, submits)
}

fn carry(
    mut caller: TcpStream,
    behind: &str,
    submits: &AtomicUsize,
    fate: &dyn Fn(&str, usize) -> Fate,
) {
    let mut server = TcpStream::connect(behind).unwrap();
    while let Some(request) = message(&mut caller) {
        let text = String::from_utf8_lossy(&request);
        let is_submit = text.starts_with("POST /api/v1/tasks");
        let before = submits.fetch_add(usize::from(is_submit), Ordering::SeqCst);
        let answer = match fate(&text, before) {
            Fate::IsAnswered(status, body) => {
                let body = body.to_string();
                let length = body.len();
                format!("HTTP/1.1 {status} \r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
            }
            passes_or_not => {
                server.write_all(&request).unwrap();
                let answer = message(&mut server).expect("the server answers");
                if matches!(passes_or_not, Fate::IsLost) {
                    return;
                }
                answer
            }
        };
        caller.write_all(&answer).unwrap();
    }
}

/// A head, and a body of the length that it states; none at the end.
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(bytes);
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    }
}
