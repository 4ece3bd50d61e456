//! Recorded exchanges of the dialects, in `tests/exchanges`, played against a running server. Their README says how they
//! are written.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use taskyard_api::time::Time;
use tokio::time::Instant;

use crate::yard::{PATIENCE, Server, Yard};

const ALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exchanges");
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

#[tokio::test(flavor = "multi_thread")]
async fn simple_is_answered_as_recorded() {
    play("simple").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v1_is_answered_as_recorded() {
    play("v1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn taskmaster_is_answered_as_recorded() {
    play("taskmaster").await;
}

/// Every file of the dialect, on every database that there is.
async fn play(dialect: &str) {
    let mut files: Vec<PathBuf> = std::fs::read_dir(Path::new(ALL).join(dialect))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 2, "{files:?}");
    for file in files {
        play_on(&Yard::new(), &file).await;
        if let Some(yard) = Yard::on_postgres().await {
            play_on(&yard, &file).await;
        }
    }
}

async fn play_on(yard: &Yard, file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    let flags = text.lines().find_map(|line| line.strip_prefix("# serve: "));
    let flags: Vec<&str> = flags.unwrap_or_default().split_whitespace().collect();
    let server = yard.serve(&flags);
    let mut known = Known::default();
    let exchanges = read(&text);
    assert!(!exchanges.is_empty(), "{}", file.display());
    for exchange in exchanges {
        if let Err(why) = exchange.play(&server, &mut known).await {
            panic!("{}, on {}: {why}", file.display(), yard.database());
        }
    }
}

/// What stands for a value in the file, as far as it was met.
#[derive(Clone, Default)]
struct Known(BTreeMap<String, Value>);

struct Exchange<'a> {
    method: &'a str,
    path: &'a str,
    body: String,
    status: u16,
    code: Option<&'a str>,
    eventually: bool,
    shown: Option<Value>,
}

/// Lines by what they are: each of a request's and an answer's begins with a line of its own, what follows is its body.
fn read(text: &str) -> Vec<Exchange<'_>> {
    let mut exchanges: Vec<Exchange<'_>> = Vec::new();
    let mut shown = String::new();
    let mut is_answer = false;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if METHODS.contains(&first) {
            finish(&mut exchanges, &mut shown);
            exchanges.push(Exchange {
                method: first,
                path: words.next().expect("a path follows the method"),
                body: String::new(),
                status: 0,
                code: None,
                eventually: false,
                shown: None,
            });
            is_answer = false;
            continue;
        }
        let Some(exchange) = exchanges.last_mut() else {
            assert!(line.is_empty(), "{line} stands before the first request");
            continue;
        };
        if let (false, Ok(status)) = (is_answer, first.parse()) {
            exchange.status = status;
            let word = words.next();
            exchange.eventually = word == Some("eventually");
            exchange.code = word.filter(|_| !exchange.eventually);
            is_answer = true;
        } else if is_answer {
            shown += line;
        } else {
            exchange.body += line;
        }
    }
    finish(&mut exchanges, &mut shown);
    exchanges
}

fn finish(exchanges: &mut [Exchange<'_>], shown: &mut String) {
    let text = std::mem::take(shown);
    if let Some(exchange) = exchanges.last_mut() {
        assert!(exchange.status > 0, "{} is not answered", exchange.path);
        exchange.shown = (!text.is_empty())
            .then(|| serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")));
    }
}

impl Exchange<'_> {
    async fn play(&self, server: &Server, known: &mut Known) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut learned = known.clone();
            match self.ask(server, &mut learned).await {
                Ok(()) => {
                    *known = learned;
                    return Ok(());
                }
                Err(_) if self.eventually && Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(why) => return Err(why),
            }
        }
    }

    async fn ask(&self, server: &Server, known: &mut Known) -> Result<(), String> {
        let path = known.fill(self.path);
        let asked = format!("{} {path} {}", self.method, self.body);
        let mut request = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .request(
                self.method.parse().unwrap(),
                format!("{}{path}", server.url),
            );
        if !self.body.is_empty() {
            request = request
                .header("content-type", "application/json")
                .body(known.fill(&self.body));
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let failed = |why: &str| Err(format!("{asked}: {why}\n  it was answered {status} {text}"));
        if status != self.status {
            return failed(&format!("{} is expected", self.status));
        }
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        if let Some(code) = self.code
            && body["code"] != code
        {
            return failed(&format!("code {code} is expected"));
        }
        if let Some(shown) = &self.shown
            && let Err(place) = known.fits(shown, &body)
        {
            return failed(&format!("it differs at {place}, {shown} is expected"));
        }
        Ok(())
    }
}

impl Known {
    /// The text with the values that are known by now.
    fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (name, value) in &self.0 {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            filled = filled.replace(&format!("<{name}>"), &value);
        }
        filled
    }

    /// Whether the value is as shown, and else where it is not.
    fn fits(&mut self, shown: &Value, value: &Value) -> Result<(), String> {
        match (shown, value) {
            (Value::String(text), _) if text.starts_with('<') && text.ends_with('>') => {
                let name = &text[1..text.len() - 1];
                self.stands_for(name, value)
                    .then_some(())
                    .ok_or_else(|| format!(" <{name}>"))
            }
            (Value::Object(shown), Value::Object(value)) => self.fields_fit(shown, value),
            (Value::Array(shown), Value::Array(value)) if shown.len() == value.len() => {
                for (index, (shown, value)) in shown.iter().zip(value).enumerate() {
                    let fits = self.fits(shown, value);
                    fits.map_err(|place| format!("/{index}{place}"))?;
                }
                Ok(())
            }
            (shown, value) if shown == value => Ok(()),
            _ => Err(String::new()),
        }
    }

    fn fields_fit(
        &mut self,
        shown: &Map<String, Value>,
        value: &Map<String, Value>,
    ) -> Result<(), String> {
        let may_be_more = shown.contains_key("...");
        for (name, shown) in shown.iter().filter(|(name, _)| *name != "...") {
            let Some(value) = value.get(name) else {
                return Err(format!("/{name}, which is missing"));
            };
            let fits = self.fits(shown, value);
            fits.map_err(|place| format!("/{name}{place}"))?;
        }
        let mut more = String::new();
        for name in value.keys().filter(|name| !shown.contains_key(*name)) {
            write!(more, "/{name}, which is too many").unwrap();
        }
        if may_be_more || more.is_empty() {
            Ok(())
        } else {
            Err(more)
        }
    }

    fn stands_for(&mut self, name: &str, value: &Value) -> bool {
        let is_time = |value: &Value| {
            let time = value.as_str().and_then(|text| text.parse::<Time>().ok());
            time.is_some_and(|time| Some(&*time.to_string()) == value.as_str())
        };
        match name {
            "any" => true,
            _ if name.starts_with("has:") => {
                let text = value.as_str().unwrap_or_default();
                text.contains(&name["has:".len()..])
            }
            "time" => is_time(value),
            _ => {
                self.0
                    .entry(name.to_owned())
                    .or_insert_with(|| value.clone())
                    == value
            }
        }
    }
}
