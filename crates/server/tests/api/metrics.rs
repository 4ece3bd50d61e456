//! `/metrics`, read by another program's parsers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use http::Method;
use openmetrics_parser::PrometheusValue;
use openmetrics_parser::openmetrics::parse_openmetrics;
use openmetrics_parser::prometheus::parse_prometheus;
use serde_json::json;
use taskyard_core::command::Command;
use taskyard_core::lane::{Lane, Lanes};
use taskyard_core::policy::Policy;
use taskyard_core::query::{Answer, Query};
use taskyard_core::store::{Error, Ran, Store};
use taskyard_core::time::Timestamp;
use taskyard_server::Secret;
use taskyard_server::inbox;
use taskyard_server::settings::Access;
use tokio::sync::Semaphore;

use crate::trouble::Stuck;
use crate::yard::{Clock, Reply, Yard, in_memory, request};

const MANUAL: &str = include_str!("../../../../docs/operations.md");
const OPEN: &str = "application/openmetrics-text;version=1.0.0";

/// What a scrape says: each sample's value under its name and labels; of a histogram how many were observed.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    #[track_caller]
    fn of(reply: &Reply) -> Self {
        assert_eq!(reply.status.as_u16(), 200);
        assert_eq!(
            reply.header("content-type"),
            "text/plain; version=0.0.4; charset=utf-8"
        );
        let text = std::str::from_utf8(&reply.bytes).unwrap();
        let read = parse_prometheus(text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        let mut samples = BTreeMap::new();
        for family in read.families.values() {
            for sample in family.iter_samples() {
                let labels = sample.get_labelset().unwrap();
                let labels: BTreeSet<String> = labels
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                let labels: Vec<String> = labels.into_iter().collect();
                let value = match &sample.value {
                    PrometheusValue::Unknown(number) | PrometheusValue::Gauge(number) => {
                        number.as_f64()
                    }
                    PrometheusValue::Counter(counter) => counter.value.as_f64(),
                    #[expect(clippy::cast_precision_loss, reason = "a test counts to ten")]
                    PrometheusValue::Histogram(all) => all.count.unwrap() as f64,
                    PrometheusValue::Summary(_) => panic!("there is no summary"),
                };
                let name = format!("{}{{{}}}", family.family_name, labels.join(","));
                samples.insert(name, value);
            }
        }
        Self(samples)
    }

    #[track_caller]
    fn is(&self, name: &str, value: f64) {
        assert_eq!(self.0.get(name), Some(&value), "{name} in {:#?}", self.0);
    }

    fn families(&self) -> BTreeSet<&str> {
        let names = self.0.keys();
        names.map(|name| name.split('{').next().unwrap()).collect()
    }
}

async fn scrape(yard: &Yard) -> Scrape {
    Scrape::of(&yard.get("/metrics").await)
}

/// Something of everything: tasks that ended in each way, one that waits, a lease lost and a result refused.
async fn busy() -> Yard {
    let yard = Yard::new();
    yard.worker("w").await;
    for kind in ["done", "done", "broken", "lost"] {
        yard.submit(kind).await;
    }
    let mut tokens = Vec::new();
    for _ in 0..4 {
        let run = yard.claim("w").await.unwrap();
        let (id, token) = (run["id"].as_str().unwrap(), run["lease_token"].clone());
        tokens.push((id.to_owned(), token));
    }
    yard.pass(Duration::from_secs(2));
    let error = json!({"code": "bad", "message": "no"});
    for (id, token) in &tokens[..2] {
        let body = json!({"lease_token": token, "output": 1});
        yard.post(&format!("/api/v1/tasks/{id}/complete"), &body)
            .await
            .ok();
    }
    let (id, token) = &tokens[2];
    let body = json!({"lease_token": token, "error": error, "retry": false});
    yard.post(&format!("/api/v1/tasks/{id}/fail"), &body)
        .await
        .ok();
    yard.pass(Duration::from_mins(10));
    yard.sweep().await;
    let (id, token) = &tokens[3];
    let body = json!({"lease_token": token, "output": 1});
    yard.post(&format!("/api/v1/tasks/{id}/complete"), &body)
        .await
        .refused(409, "stale_lease");
    let waits = yard.submit("late").await;
    yard.post(&format!("/api/v1/tasks/{waits}/cancel"), &json!({}))
        .await
        .ok();
    yard.get("/no/such/route").await;
    let inbox = inbox::counted(&yard.app, "localhost:5432/shop");
    inbox.taken.inc_by(2);
    inbox.refused.inc();
    inbox.oldest.set(0.5);
    inbox.up.set(1);
    yard
}

#[tokio::test]
async fn what_happened_is_counted_by_kind_and_outcome() {
    let yard = busy().await;

    let scrape = scrape(&yard).await;

    scrape.is("taskyard_tasks_submitted_total{kind=done}", 2.0);
    scrape.is(
        "taskyard_tasks_ended_total{kind=done,outcome=completed}",
        2.0,
    );
    scrape.is(
        "taskyard_tasks_ended_total{kind=broken,outcome=failed}",
        1.0,
    );
    scrape.is(
        "taskyard_tasks_ended_total{kind=broken,outcome=timeout}",
        0.0,
    );
    scrape.is(
        "taskyard_tasks_ended_total{kind=late,outcome=cancelled}",
        1.0,
    );
    scrape.is("taskyard_task_wait_seconds{kind=lost}", 1.0);
    scrape.is("taskyard_task_run_seconds{kind=done}", 2.0);
    scrape.is("taskyard_leases_lost_total{}", 1.0);
    scrape.is("taskyard_late_results_total{}", 1.0);
    scrape.is("taskyard_batches_failed_total{}", 0.0);
}

#[tokio::test]
async fn what_there_is_to_do_is_told_by_queue_and_status() {
    let yard = busy().await;

    let scrape = scrape(&yard).await;

    scrape.is("taskyard_database_up{}", 1.0);
    scrape.is("taskyard_tasks{status=completed}", 2.0);
    scrape.is("taskyard_tasks{status=pending}", 1.0);
    scrape.is("taskyard_tasks{status=running}", 0.0);
    scrape.is("taskyard_queue_depth{queue=default}", 1.0);
    scrape.is("taskyard_queue_oldest_seconds{queue=default}", 602.0);
    scrape.is("taskyard_workers{state=online}", 0.0);
    scrape.is("taskyard_workers{state=offline}", 1.0);
    scrape.is("taskyard_workers{state=internal}", 0.0);
    scrape.is("taskyard_commands_waiting{}", 0.0);
    scrape.is("taskyard_commands_max{}", 10_000.0);
    scrape.is("taskyard_build_info{database=sqlite,version=1.2.3}", 1.0);
}

#[tokio::test]
async fn requests_are_told_by_pattern_and_never_by_path() {
    let yard = busy().await;
    let nothing = Body::empty;
    yard.send(request(Method::PUT, "/api/v1/tasks", nothing()))
        .await;
    let mut refused = request(Method::GET, "/api/v1/tasks", nothing());
    let elsewhere = "elsewhere.example".parse().unwrap();
    refused.headers_mut().insert("host", elsewhere);
    yard.send(refused).await;

    let scrape = scrape(&yard).await;

    let requests = |route: &str, method: &str, status: u16| {
        format!("taskyard_http_requests_total{{method={method},route={route},status={status}}}")
    };
    scrape.is(&requests("/api/v1/tasks", "POST", 201), 5.0);
    scrape.is(&requests("/api/v1/tasks/{id}/complete", "POST", 200), 2.0);
    scrape.is(&requests("/api/v1/tasks/{id}/complete", "POST", 409), 1.0);
    scrape.is(&requests("/api/v1/tasks", "PUT", 405), 1.0);
    scrape.is(&requests("/api/v1/tasks", "GET", 421), 1.0);
    scrape.is(&requests("none", "GET", 404), 1.0);
    let took = "taskyard_http_request_seconds{method=POST,route=/api/v1/tasks/{id}/complete}";
    scrape.is(took, 3.0);
}

#[tokio::test]
async fn both_formats_say_the_same_and_the_manual_lists_all_of_it() {
    let yard = busy().await;
    let plain = scrape(&yard).await;

    let mut asks = request(Method::GET, "/metrics", Body::empty());
    asks.headers_mut().insert("accept", OPEN.parse().unwrap());
    let reply = yard.send(asks).await;

    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(reply.header("content-type"), content_type);
    assert_eq!(reply.header("vary"), "accept");
    let text = std::str::from_utf8(&reply.bytes).unwrap();
    let read = parse_openmetrics(text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    let mut listed = BTreeMap::new();
    for line in MANUAL.lines() {
        if let Some((name, cells)) = line
            .strip_prefix("| `taskyard_")
            .and_then(|line| line.split_once("` | "))
        {
            listed.insert(format!("taskyard_{name}"), cells.to_owned());
        }
    }
    let listed_names: BTreeSet<&str> = listed.keys().map(String::as_str).collect();
    assert_eq!(listed_names, plain.families(), "docs/operations.md");
    for family in read.families.values() {
        let kind = format!("{:?}", family.family_type).to_lowercase();
        let (suffix, kind) = match &*kind {
            "counter" => ("_total", "counter"),
            "info" => ("_info", "gauge"),
            kind => ("", kind),
        };
        let name = format!("{}{suffix}", family.family_name);
        let sample = family.iter_samples().next().expect("none is empty");
        let labels: BTreeSet<String> = sample
            .get_labelset()
            .unwrap()
            .iter_names()
            .map(|name| format!("`{name}`"))
            .collect();
        let labels: Vec<String> = labels.into_iter().collect();
        let cells = format!("{kind} | {} |", labels.join(", "));
        let cells = cells.replace("|  |", "| |");
        assert!(
            listed[&name].starts_with(&cells),
            "{name}: {cells} in docs/operations.md"
        );
    }
}

#[test]
fn the_alert_rules_of_the_manual_are_yaml_and_name_metrics_that_there_are() {
    let (_, rules) = MANUAL.split_once("```yaml\n").unwrap();
    let (rules, _) = rules.split_once("```").unwrap();

    let rules: serde_json::Value = serde_yaml_ng::from_str(rules).unwrap();

    let groups = rules["groups"].as_array().unwrap();
    let rules = groups[0]["rules"].as_array().unwrap();
    assert!(rules.len() >= 8);
    for rule in rules {
        for field in ["alert", "expr"] {
            assert!(rule[field].is_string(), "{rule}");
        }
        assert!(rule["annotations"]["summary"].is_string(), "{rule}");
        let expression = rule["expr"].as_str().unwrap();
        let words = expression.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let mut named = 0;
        for metric in words.filter(|word| word.starts_with("taskyard_")) {
            let metric = metric.strip_suffix("_bucket").unwrap_or(metric);
            assert!(MANUAL.contains(&format!("| `{metric}` | ")), "{metric}");
            named += 1;
        }
        // Prometheus's own: whether it could ask.
        let is_of_the_scrape = expression.starts_with("up{");
        assert!(named > 0 || is_of_the_scrape, "{expression}");
    }
}

#[tokio::test]
async fn so_many_kinds_and_queues_are_told_apart_and_no_more() {
    let yard = Yard::with(|settings| settings.limits.metrics_values_max = 2);

    for name in ["a", "b", "a", "c", "d"] {
        let task = json!({"kind": name, "queue": name, "input": 1});
        yard.post("/api/v1/tasks", &task).await.ok();
    }
    let scrape = scrape(&yard).await;

    for (name, tasks) in [("a", 2.0), ("b", 1.0), ("other", 2.0)] {
        scrape.is(
            &format!("taskyard_tasks_submitted_total{{kind={name}}}"),
            tasks,
        );
        scrape.is(&format!("taskyard_queue_depth{{queue={name}}}"), tasks);
    }
    let is_told = |name: &&String| {
        ["kind=c", "kind=d", "queue=c", "queue=d"]
            .iter()
            .any(|one| name.contains(one))
    };
    assert_eq!(scrape.0.keys().find(is_told), None);
}

#[tokio::test]
async fn lines_that_the_log_lacks_are_counted_by_who_writes_it() {
    let dropped = Arc::new(AtomicU64::new(0));
    let yard = Yard::with(|settings| settings.log_lines_dropped = Arc::clone(&dropped));
    let name = "taskyard_log_lines_dropped_total{}";
    scrape(&yard).await.is(name, 0.0);

    dropped.store(7, Ordering::Relaxed);

    scrape(&yard).await.is(name, 7.0);
}

#[tokio::test]
async fn a_queue_in_which_nothing_waits_any_more_shows_none() {
    let yard = Yard::new();
    let id = yard.submit("work").await;
    scrape(&yard)
        .await
        .is("taskyard_queue_depth{queue=default}", 1.0);

    yard.post(&format!("/api/v1/tasks/{id}/cancel"), &json!({}))
        .await
        .ok();

    let scrape = scrape(&yard).await;
    scrape.is("taskyard_queue_depth{queue=default}", 0.0);
    scrape.is("taskyard_queue_oldest_seconds{queue=default}", 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_takes_too_long_leaves_out_what_only_it_knows() {
    let yard = Yard::around(Stuck::store(), Clock::new(), |settings| {
        settings.limits.metrics_within = Duration::from_secs(3);
    });
    let began = tokio::time::Instant::now();

    let scrape = scrape(&yard).await;

    assert_eq!(began.elapsed(), Duration::from_secs(3));
    scrape.is("taskyard_database_up{}", 0.0);
    assert!(!scrape.families().contains("taskyard_tasks"));
    assert!(scrape.families().contains("taskyard_build_info"));
    assert!(scrape.families().contains("taskyard_commands_waiting"));
}

/// Answers when it is let, and counts what it is asked.
struct Held {
    inner: Arc<dyn Store>,
    let_go: Semaphore,
    asked: AtomicUsize,
}

#[async_trait]
impl Store for Held {
    async fn run(&self, batch: Vec<Command>, policy: &Policy) -> Result<Ran, Error> {
        self.inner.run(batch, policy).await
    }

    async fn read(&self, query: Query) -> Result<Answer, Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.let_go.acquire().await.unwrap().forget();
        self.inner.read(query).await
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn incarnation(&self) -> [u8; 16] {
        self.inner.incarnation()
    }

    fn lanes(&self) -> Arc<Lanes> {
        self.inner.lanes()
    }

    fn unsure(&self, lane: Option<Lane>) {
        self.inner.unsure(lane);
    }
}

#[tokio::test]
async fn scrapes_that_come_together_share_one_read() {
    let clock = Clock::new();
    let store = Arc::new(Held {
        inner: in_memory(&clock),
        let_go: Semaphore::new(0),
        asked: AtomicUsize::new(0),
    });
    let yard = Yard::around(Arc::clone(&store) as Arc<dyn Store>, clock, |_| {});
    let release = async {
        while store.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        store.let_go.add_permits(1);
    };

    let (one, other, third, ()) =
        tokio::join!(scrape(&yard), scrape(&yard), scrape(&yard), release);

    for scrape in [one, other, third] {
        scrape.is("taskyard_database_up{}", 1.0);
    }
    assert_eq!(store.asked.load(Ordering::SeqCst), 1);
    store.let_go.add_permits(1);
    scrape(&yard).await.is("taskyard_database_up{}", 1.0);
    assert_eq!(
        store.asked.load(Ordering::SeqCst),
        2,
        "a later one looks again"
    );
}

#[tokio::test]
async fn whoever_watches_needs_the_token_that_all_others_need() {
    let yard = Yard::with(|settings| settings.access = Access::Token(Secret::new("s3cret")));

    yard.get("/metrics").await.refused(401, "unauthorized");
    let mut asks = request(Method::GET, "/metrics", Body::empty());
    let bearer = "Bearer s3cret".parse().unwrap();
    asks.headers_mut().insert("authorization", bearer);
    Scrape::of(&yard.send(asks).await);
    let mut asks = request(Method::HEAD, "/metrics", Body::empty());
    let bearer = "Bearer s3cret".parse().unwrap();
    asks.headers_mut().insert("authorization", bearer);
    let head = yard.send(asks).await;

    assert_eq!((head.status.as_u16(), head.bytes.len()), (200, 0));
}
