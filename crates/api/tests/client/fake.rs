//! Servers that do to every request what a test wants of them, and remember what they were asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use taskyard_api::client::{Client, Url};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of a request that has come whole.
#[derive(Clone)]
pub(crate) enum Does {
    /// This status, more of the head, and this body.
    Answers(u16, &'static str, String),
    /// The connection ends without a word.
    BreaksOff,
    /// It ends in the middle of the answer.
    BreaksHalfWay,
    /// Nothing comes, and the connection stays.
    Hangs,
}

impl Does {
    pub(crate) fn serves(body: &str) -> Self {
        Self::Answers(200, "content-type: application/json\r\n", body.to_owned())
    }

    /// As a server that stops serves what it takes still.
    pub(crate) fn serves_and_closes(body: &str) -> Self {
        let head = "content-type: application/json\r\nconnection: close\r\n";
        Self::Answers(200, head, body.to_owned())
    }

    pub(crate) fn refuses(status: u16, code: &str, retry_after_ms: Option<u64>) -> Self {
        let problem = serde_json::json!({
            "status": status, "code": code, "title": code, "retry_after_ms": retry_after_ms,
        });
        let head = "content-type: application/problem+json\r\n";
        Self::Answers(status, head, problem.to_string())
    }
}

pub(crate) struct Fake {
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub(crate) async fn that(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, does.clone(), Arc::clone(&hears)));
            }
        });
        Self { url, heard }
    }

    /// What it was asked, heads in small letters.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Once it was asked for the first time.
    pub(crate) async fn has_heard(&self) {
        let asked = async {
            while self.heard.lock().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        let asked = tokio::time::timeout(Duration::from_secs(60), asked).await;
        asked.expect("it is asked");
    }
}

/// A client of these, in this order.
pub(crate) fn client_of(servers: &[&Fake]) -> Client {
    let urls: Vec<Url> = servers
        .iter()
        .map(|server| server.url.parse().unwrap())
        .collect();
    Client::new(&urls, Some("secret")).unwrap()
}

async fn serve(mut stream: TcpStream, does: Does, heard: Arc<Mutex<Vec<String>>>) {
    while let Some(request) = request(&mut stream).await {
        heard.lock().unwrap().push(request);
        match &does {
            Does::Answers(status, head, body) => {
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status} \r\n{head}content-length: {length}\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.unwrap();
                if head.contains("close") {
                    return;
                }
            }
            Does::BreaksOff => return,
            Does::BreaksHalfWay => {
                let answer =
                    b"HTTP/1.1 200 \r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{\"";
                stream.write_all(answer).await.unwrap();
                return;
            }
            Does::Hangs => std::future::pending().await,
        }
    }
}

/// A head, and a body of the length that it states; none at the end.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(format!("{head}\n\n{body}"));
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
    }
}
