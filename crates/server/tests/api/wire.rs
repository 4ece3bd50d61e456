//! A server on a real socket, and what is said to it byte by byte.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use taskyard_server::serve::serve;
use taskyard_server::settings::{Limits, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::yard::Yard;

/// Longer than anything here should take; whoever waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    pub(crate) yard: Yard,
    pub(crate) address: SocketAddr,
    pub(crate) serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn with(set: impl FnOnce(&mut Limits)) -> Self {
        Self::around(Yard::with(|settings: &mut Settings| {
            set(&mut settings.limits);
        }))
        .await
    }

    /// For tests in paused time.
    pub(crate) async fn on_model_with(set: impl FnOnce(&mut Limits)) -> Self {
        Self::around(Yard::on_model_with(|settings| set(&mut settings.limits))).await
    }

    pub(crate) async fn around(yard: Yard) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let finishing = yard.app.engine().finishing().clone();
        let serving = tokio::spawn(serve(listener, yard.app.clone(), finishing));
        Self {
            yard,
            address,
            serving,
        }
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire::of(TcpStream::connect(self.address).await.unwrap())
    }

    /// Until it has stopped.
    pub(crate) async fn stopped(self) {
        timeout(PATIENCE, self.serving).await.unwrap().unwrap();
    }
}

/// With what was read beyond the last answer.
pub(crate) struct Wire(pub(crate) TcpStream, Vec<u8>);

impl Wire {
    pub(crate) fn of(stream: TcpStream) -> Self {
        Self(stream, Vec::new())
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) {
        let body = body.to_string();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        self.say(&(head + &body)).await;
    }

    pub(crate) async fn get(&mut self, path: &str) {
        self.say(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
            .await;
    }

    /// One whole answer: its head, in small letters, and its body.
    pub(crate) async fn answer(&mut self) -> (String, String) {
        let mut bytes = std::mem::take(&mut self.1);
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let head = head.to_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.map_or(0, |length| length.parse().unwrap());
                if body.len() >= length {
                    self.1 = body.as_bytes()[length..].to_vec();
                    return (head, body[..length].to_owned());
                }
            }
            let mut piece = vec![0; 65536];
            let read = timeout(PATIENCE, self.0.read(&mut piece))
                .await
                .unwrap()
                .unwrap();
            assert_ne!(read, 0, "closed after {text:?}");
            bytes.extend_from_slice(&piece[..read]);
        }
    }

    /// Reads until this was said, and leaves what stands behind it.
    pub(crate) async fn reads_up_to(&mut self, end: &str) {
        loop {
            let text = String::from_utf8_lossy(&self.1).into_owned();
            if let Some((_, rest)) = text.split_once(end) {
                self.1 = rest.as_bytes().to_vec();
                return;
            }
            let mut piece = vec![0; 65536];
            let read = timeout(PATIENCE, self.0.read(&mut piece)).await;
            let read = read.unwrap().unwrap();
            assert_ne!(read, 0, "closed after {text:?}");
            self.1.extend_from_slice(&piece[..read]);
        }
    }

    /// A problem, and the end of the connection.
    pub(crate) async fn is_told(&mut self, status: u16, code: &str) {
        let (head, body) = self.answer().await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{head}");
        assert!(
            head.contains("content-type: application/problem+json"),
            "{head}"
        );
        assert_eq!(head.matches("connection: close").count(), 1, "{head}");
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["code"], code, "{body}");
        assert_eq!(problem["status"], status);
        let id = problem["request_id"].as_str().unwrap();
        assert!(head.contains(&format!("x-request-id: {id}")), "{head}");
        assert_eq!(self.rest().await, "");
    }

    /// Everything up to the end of the connection, which may be a reset.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = std::mem::take(&mut self.1);
        // What was read before a reset stays in the buffer.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut bytes))
            .await
            .unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
