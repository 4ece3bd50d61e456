//! Sends what changes something a second and a third time, some moments later, and holds some of it up: as clients and
//! proxies do that repeat what they were not sure of, and networks that take several ways.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::yard::PATIENCE;

const REQUEST_MAX: usize = 1 << 20;
/// How many of a hundred requests are held up before they are sent for the first time, and for how long at most.
const HELD_UP: u32 = 20;
const HELD_UP_MAX: Duration = Duration::from_millis(300);

/// Takes one request a connection, so that each answer ends with it.
pub(crate) struct Replay {
    pub(crate) address: SocketAddr,
    inner: Arc<Inner>,
    listening: JoinHandle<()>,
}

struct Inner {
    leads_to: String,
    /// A copy is late by up to so much.
    late_max: Duration,
    random: Mutex<StdRng>,
    copies: Mutex<JoinSet<()>>,
    sent_again: AtomicU64,
    repeats: AtomicBool,
}

impl Replay {
    pub(crate) async fn to(place: &str, late_max: Duration, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            leads_to: place.to_owned(),
            late_max,
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            copies: Mutex::default(),
            sent_again: AtomicU64::new(0),
            repeats: AtomicBool::new(true),
        });
        let serving = Arc::clone(&inner);
        let listening = tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let inner = Arc::clone(&serving);
                tokio::spawn(async move { inner.serve(caller).await });
            }
        });
        Self {
            address,
            inner,
            listening,
        }
    }

    /// From now on nothing is repeated any more. Once every copy has come to the server: how many there were.
    pub(crate) async fn delivered(&self) -> u64 {
        self.inner.repeats.store(false, Ordering::Relaxed);
        let all = async {
            loop {
                let mut copies = std::mem::take(&mut *self.inner.copies.lock());
                if copies.is_empty() {
                    break;
                }
                while copies.join_next().await.is_some() {}
            }
        };
        timeout(PATIENCE, all).await.unwrap();
        self.inner.sent_again.load(Ordering::Relaxed)
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Inner {
    async fn serve(self: Arc<Self>, mut caller: TcpStream) {
        let Some(request) = read_request(&mut caller).await else {
            return;
        };
        let (held_up, copies) = self.plan(&request);
        sleep(held_up).await;
        {
            let mut waiting = self.copies.lock();
            for late in copies {
                let (inner, request) = (Arc::clone(&self), request.clone());
                waiting.spawn(async move {
                    sleep(late).await;
                    if inner.exchange(&request).await.is_some() {
                        inner.sent_again.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        }
        if let Some(answer) = self.exchange(&request).await {
            let _ = caller.write_all(&answer).await;
        }
        let _ = caller.shutdown().await;
    }

    /// How long it is held up, and how late its copies are.
    fn plan(&self, request: &[u8]) -> (Duration, Vec<Duration>) {
        if !self.repeats.load(Ordering::Relaxed) {
            return (Duration::ZERO, Vec::new());
        }
        let mut random = self.random.lock();
        let held_up = if random.random_range(0..100) < HELD_UP {
            random.random_range(Duration::ZERO..HELD_UP_MAX)
        } else {
            Duration::ZERO
        };
        let copies = if request.starts_with(b"GET ") {
            0
        } else {
            random.random_range(1..=2)
        };
        let late = (0..copies).map(|_| random.random_range(Duration::ZERO..self.late_max));
        (held_up, late.collect())
    }

    async fn exchange(&self, request: &[u8]) -> Option<Vec<u8>> {
        let mut server = TcpStream::connect(&self.leads_to).await.ok()?;
        server.write_all(request).await.ok()?;
        let mut answer = Vec::new();
        let reading = timeout(PATIENCE, server.read_to_end(&mut answer)).await;
        reading.ok()?.ok()?;
        Some(answer)
    }
}

/// A whole request, changed in one thing: that the connection ends with it.
async fn read_request(caller: &mut TcpStream) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = std::str::from_utf8(&read[..end]).ok()?;
            let length = length_of(head)?;
            if read.len() >= end + 4 + length {
                return Some(closing(head, &read[end + 4..end + 4 + length]));
            }
        }
        if read.len() > REQUEST_MAX || caller.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}

fn length_of(head: &str) -> Option<usize> {
    let mut lengths = head.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())
    });
    lengths.next_back().unwrap_or(Some(0))
}

fn closing(head: &str, body: &[u8]) -> Vec<u8> {
    let of_connection = |line: &&str| !line.to_ascii_lowercase().starts_with("connection:");
    let mut lines: Vec<&str> = head.lines().filter(of_connection).collect();
    lines.push("connection: close");
    let mut request = lines.join("\r\n").into_bytes();
    request.extend(b"\r\n\r\n");
    request.extend(body);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_changes_something_comes_more_than_once_and_is_answered_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let came = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&came);
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                let request = read_request(&mut caller).await.unwrap();
                noted.lock().push(String::from_utf8(request).unwrap());
                let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx";
                caller.write_all(answer).await.unwrap();
            }
        });
        let replay = Replay::to(&place, Duration::from_millis(10), 1).await;

        for method in ["GET", "POST"] {
            let mut stream = TcpStream::connect(replay.address).await.unwrap();
            let request =
                format!("{method} / HTTP/1.1\r\nhost: h\r\nContent-Length: 2\r\n\r\n{{}}");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.ends_with("\r\n\r\nx"), "{answer}");
        }

        let copies = replay.delivered().await;
        let came = came.lock();
        let of = |method: &str| came.iter().filter(|one| one.starts_with(method)).count();
        assert_eq!((of("GET"), of("POST") as u64), (1, 1 + copies));
        assert!((1..=2).contains(&copies), "{copies}");
        assert!(came.iter().all(|request| request.ends_with("\r\n\r\n{}")));
    }
}
