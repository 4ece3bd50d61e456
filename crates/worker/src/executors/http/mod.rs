//! `http`: asks a web server, and answers what it said.
//!
//! Input `{"url": "https://api.example.com/v1"}`, with `method`, `headers`, `body` and `encoding` if wanted; output
//! `{"status", "headers", "body", "encoding"}`. Only hosts that the operator allows are asked, and only at public addresses
//! unless that is said too, so that a task does not reach what the worker's own network keeps to itself. That is judged on
//! the address which is connected to, for each request anew, redirects included. A status of 400 or more fails.
//!
//! Nothing of one task is there for another: each request has a connection of its own, and neither cookies nor logins are
//! kept. The environment's proxies are not used: they would resolve names where nobody judges what comes of it. What is
//! compressed stays so, since a few bytes may stand for any number; no answer can grow on its way in.

mod address;
mod allow;
mod answer;
mod exchange;
mod request;
mod resolve;

use std::sync::{Arc, OnceLock};

use reqwest::Client;
use reqwest::redirect::Policy;

pub use self::allow::Allow;
pub use self::resolve::Resolver;

use self::allow::Rules;
use self::resolve::{Guarded, System};
use crate::executor::{Context, Executor, Finish, Run};

/// One header for so many bytes is taken; the parser wants to know their number beforehand.
const HEADER_BYTES_EACH: usize = 64;

/// How this worker asks.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which hosts tasks may ask. Nothing, until the operator says so.
    pub allow: Allow,
    /// Whether addresses of this machine and of private networks may be asked. Default no. Metadata services, and what no
    /// single server can have, need to be named in `allow` all the same.
    pub allow_private: bool,
    /// The longest body that is sent. Default 1 MiB.
    pub request_bytes_max: usize,
    /// The longest body that is received. Default 4 MiB.
    pub response_bytes_max: usize,
    /// The most bytes of headers, either way. Default 64 KiB.
    pub headers_bytes_max: usize,
    /// How much of the body of a failed request is shown. Default 16 KiB.
    pub detail_bytes_max: usize,
    /// How many redirects are followed. Default 10; with 0 the redirect itself is the answer.
    pub redirects_max: u32,
    /// How many names are looked up at a time, each of which takes a thread. Default 32.
    pub lookups_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            allow: Allow::default(),
            allow_private: false,
            request_bytes_max: 1 << 20,
            response_bytes_max: 4 << 20,
            headers_bytes_max: 64 << 10,
            detail_bytes_max: 16 << 10,
            redirects_max: 10,
            lookups_max: 32,
        }
    }
}

pub struct Http {
    settings: Settings,
    rules: Arc<Rules>,
    resolver: Arc<dyn Resolver>,
    /// Made when it is needed first: until then nobody has to have said which cryptography TLS is to use.
    client: OnceLock<Client>,
}

impl Http {
    pub fn new(settings: Settings) -> Self {
        let resolver = Arc::new(System::new(settings.lookups_max));
        Self::with_resolver(settings, resolver)
    }

    /// One that finds addresses in another way. What it finds is judged all the same.
    pub fn with_resolver(settings: Settings, resolver: Arc<dyn Resolver>) -> Self {
        let rules = Arc::new(Rules {
            allow: settings.allow.clone(),
            allow_private: settings.allow_private,
        });
        Self {
            settings,
            rules,
            resolver,
            client: OnceLock::new(),
        }
    }

    fn client(&self) -> Result<&Client, Finish> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = self.build().map_err(|error| Finish::NotBegun {
            why: format!("this worker cannot make requests: {error}"),
        })?;
        Ok(self.client.get_or_init(|| client))
    }

    fn build(&self) -> reqwest::Result<Client> {
        let headers_max = self.settings.headers_bytes_max / HEADER_BYTES_EACH;
        Client::builder()
            .user_agent(concat!("taskyard/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .http1_only()
            .http1_max_headers(headers_max.max(1))
            .pool_max_idle_per_host(0)
            .dns_resolver(Guarded {
                rules: Arc::clone(&self.rules),
                resolver: Arc::clone(&self.resolver),
            })
            .build()
    }

    /// As an error what it came to without an answer.
    async fn ask(&self, run: &Run) -> Result<Finish, Finish> {
        let request = request::read(&run.input, &self.settings).map_err(Finish::Failed)?;
        let client = self.client()?;
        let answer = exchange::exchange(client, &self.rules, &self.settings, request).await;
        answer.map(Finish::Completed).map_err(Finish::Failed)
    }
}

#[async_trait::async_trait]
impl Executor for Http {
    fn kind(&self) -> &str {
        "http"
    }

    async fn run(&self, run: Run, context: Context) -> Finish {
        tokio::select! {
            biased;
            finish = self.ask(&run) => finish.unwrap_or_else(|finish| finish),
            why = context.stop.stopped() => Finish::Stopped { why, detail: None },
        }
    }
}
