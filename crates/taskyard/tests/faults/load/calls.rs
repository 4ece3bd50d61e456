//! One call: sent, bounded, and written down.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use crate::history::{History, Op, Outcome, Record, hash_of};

/// Who has heard nothing by then does not know.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// A server that gave no answer is passed over for so long.
const AWAY_FOR: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub(crate) struct Servers {
    pub(crate) http: reqwest::Client,
    urls: Arc<[String]>,
}

impl Servers {
    pub(crate) fn new(urls: &[String]) -> Self {
        // Fails only where it was done before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(ANSWER_WITHIN);
        Self {
            http: http.build().unwrap(),
            urls: urls.into(),
        }
    }
}

/// One of those who call, one call after the other, round robin over the servers that are there.
pub(crate) struct Caller {
    pub(crate) name: String,
    pub(crate) random: StdRng,
    history: Arc<History>,
    servers: Servers,
    /// Until when each is passed over.
    away: Vec<Option<Instant>>,
    seq: u64,
    next: usize,
}

/// What came back, and what it is worth.
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
    pub(crate) body: Value,
    /// To be written down once it is known what it was about.
    pub(crate) record: Record,
}

impl Caller {
    pub(crate) fn new(
        name: String,
        history: Arc<History>,
        servers: Servers,
        random: StdRng,
    ) -> Self {
        let count = servers.urls.len();
        Self {
            name,
            random,
            history,
            servers,
            away: vec![None; count],
            seq: 0,
            next: 0,
        }
    }

    /// The server whose turn it is.
    pub(crate) fn turn(&mut self) -> usize {
        let count = self.away.len();
        let now = Instant::now();
        let turns = (0..count).map(|step| (self.next + step) % count);
        let is_there = |server: &usize| self.away[*server].is_none_or(|until| until <= now);
        let turn = turns.clone().find(is_there).unwrap_or(self.next % count);
        self.next = (turn + 1) % count;
        turn
    }

    pub(crate) fn write(&self, records: Vec<Record>) {
        self.history.add(records);
    }

    /// Asks whoever's turn it is.
    pub(crate) async fn ask(
        &mut self,
        op: Op,
        method: Method,
        path: &str,
        body: Option<&str>,
        key: Option<&str>,
    ) -> Answer {
        let server = self.turn();
        self.ask_at(server, op, method, path, body, key).await
    }

    pub(crate) async fn ask_at(
        &mut self,
        server: usize,
        op: Op,
        method: Method,
        path: &str,
        body: Option<&str>,
        key: Option<&str>,
    ) -> Answer {
        self.seq += 1;
        let url = format!("{}{path}", self.servers.urls[server]);
        let mut request = self
            .servers
            .http
            .request(method, url)
            .timeout(ANSWER_WITHIN);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_owned());
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let mut record = Record {
            proc: self.name.clone(),
            seq: self.seq,
            t_invoke: self.history.now(),
            t_return: 0,
            op,
            args_hash: hash_of(&format!("{path} {}", body.unwrap_or_default())),
            outcome: Outcome::Unknown,
            http: None,
            code: None,
            task: None,
            token: None,
            server,
            name: None,
            status: None,
            without_retry_after: false,
        };
        let heard = match request.send().await {
            Ok(response) => {
                let status = response.status();
                let has_retry_after = response.headers().contains_key(RETRY_AFTER);
                let body = response.bytes().await;
                body.map(|body| (status, has_retry_after, body))
            }
            Err(error) => Err(error),
        };
        record.t_return = self.history.now();
        let mut value = Value::Null;
        match heard {
            Ok((status, has_retry_after, body)) => {
                value = serde_json::from_slice(&body).unwrap_or_default();
                let code = value["code"].as_str();
                record.outcome = outcome(status, code);
                record.code = code.map(str::to_owned);
                record.http = Some(status.as_u16());
                let is_passing = matches!(status.as_u16(), 429 | 503 | 507);
                record.without_retry_after = is_passing && !has_retry_after && op != Op::Ready;
            }
            Err(error) => {
                // Who was never there has received nothing.
                if error.is_connect() {
                    record.outcome = Outcome::Fail;
                }
                self.away[server] = Some(Instant::now() + AWAY_FOR);
                record.code = Some(
                    if error.is_timeout() {
                        "timeout"
                    } else {
                        "broken"
                    }
                    .to_owned(),
                );
            }
        }
        Answer {
            outcome: record.outcome,
            status: record.http.unwrap_or_default(),
            code: record.code.clone(),
            body: value,
            record,
        }
    }
}

/// What an answer says of what was asked.
fn outcome(status: StatusCode, code: Option<&str>) -> Outcome {
    match (status.as_u16(), code) {
        (200..=299, _) => Outcome::Ok,
        (_, Some("outcome_unknown")) | (500 | 502 | 504, _) => Outcome::Unknown,
        _ => Outcome::Fail,
    }
}

impl Answer {
    /// Nothing is wrong with what was asked: later, or elsewhere, it may be done.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.status, 0 | 429 | 500 | 502..=504 | 507)
    }
}
