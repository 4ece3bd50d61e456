//! A web server of a test's own, which says what the test wants, byte by byte.

use std::net::SocketAddr;
use std::sync::{Arc, Once};

use parking_lot::Mutex;
use taskyard_worker::executors::Http;
use taskyard_worker::executors::http::Settings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(super) struct Site {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// Answers each request with what it is answered here, and closes the connection.
    pub(super) async fn answering(
        answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let answer = Arc::new(answer);
        Self::speaking(move |request, mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                let _ = stream.write_all(&answer(&request)).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    /// Leaves the connection, once the request was read, to the test.
    pub(super) async fn speaking<F>(
        speak: impl Fn(String, TcpStream) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, speak) = (Arc::clone(&seen), Arc::new(speak));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (kept, speak) = (Arc::clone(&kept), Arc::clone(&speak));
                tokio::spawn(async move {
                    let request = request(&mut stream).await;
                    kept.lock().push(request.clone());
                    speak(request, stream).await;
                });
            }
        });
        Self { address, seen }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What was asked so far.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().clone()
    }
}

/// Head and body, as they came.
async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(length @ 1..) => bytes.extend_from_slice(&chunk[..length]),
            Ok(0) | Err(_) => return text,
        }
    }
}

/// What a head says under this name.
pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// An answer with its length.
pub(super) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// Settings by which the sites of this machine may be asked, as an operator would say it.
pub(super) fn loopback() -> Settings {
    Settings {
        allow: "127.0.0.1".parse().unwrap(),
        ..Settings::default()
    }
}

pub(super) fn http(settings: Settings) -> Http {
    with_tls();
    Http::new(settings)
}

pub(super) fn with_tls() {
    static TLS: Once = Once::new();
    TLS.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
