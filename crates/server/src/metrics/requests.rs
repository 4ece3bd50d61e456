//! Requests by route, method and status, and how long they took.
//!
//! A route is told by its pattern, never by its path, so there are as many as the router has. What fits none is `none`;
//! what was answered and never became a request is `unread`.

use std::time::Duration;

use hashbrown::HashMap;
use http::{Method, StatusCode};
use parking_lot::RwLock;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

const SECONDS: [f64; 16] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];
const NO_ROUTE: &str = "none";
const UNREAD: &str = "unread";
/// A method that nobody need know.
const OTHER: &str = "other";

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfAnswer {
    route: &'static str,
    method: &'static str,
    status: u16,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfRoute {
    route: &'static str,
    method: &'static str,
}

type Kept = HashMap<&'static str, HashMap<u16, (Counter, Histogram)>>;

pub(crate) struct Requests {
    answered: Family<OfAnswer, Counter>,
    took: Family<OfRoute, Histogram, fn() -> Histogram>,
    /// Handles by route, method and status.
    kept: RwLock<HashMap<&'static str, Kept>>,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            answered: Family::default(),
            took: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            kept: RwLock::default(),
        }
    }
}

impl Requests {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "taskyard_http_requests",
            "Requests that were answered, by the route's pattern",
            self.answered.clone(),
        );
        registry.register(
            "taskyard_http_request_seconds",
            "From a request's head to its answer's, with the time that a caller asked to be held back",
            self.took.clone(),
        );
    }

    pub(crate) fn count(
        &self,
        route: Option<&'static str>,
        method: &Method,
        status: StatusCode,
        took: Duration,
    ) {
        let (route, method) = (route.unwrap_or(NO_ROUTE), word(method));
        let count = |(answered, seconds): &(Counter, Histogram)| {
            answered.inc();
            seconds.observe(took.as_secs_f64());
        };
        {
            let kept = self.kept.read();
            let of_route = kept.get(route).and_then(|methods| methods.get(method));
            if let Some(handles) = of_route.and_then(|codes| codes.get(&status.as_u16())) {
                return count(handles);
            }
        }
        count(&self.keep(route, method, status));
    }

    /// An answer to what never became a request. Nobody knows since when that was waited for.
    pub(crate) fn count_unread(&self, status: StatusCode) {
        let of_answer = OfAnswer {
            route: UNREAD,
            method: OTHER,
            status: status.as_u16(),
        };
        self.answered.get_or_create_owned(&of_answer).inc();
    }

    fn keep(
        &self,
        route: &'static str,
        method: &'static str,
        status: StatusCode,
    ) -> (Counter, Histogram) {
        let status = status.as_u16();
        let of_answer = OfAnswer {
            route,
            method,
            status,
        };
        let of_route = OfRoute { route, method };
        let handles = (
            self.answered.get_or_create_owned(&of_answer),
            self.took.get_or_create_owned(&of_route),
        );
        let mut kept = self.kept.write();
        let methods = kept.entry(route).or_default();
        let codes = methods.entry(method).or_default();
        codes.insert(status, handles.clone());
        handles
    }
}

/// One of those that there are; anybody may send others.
fn word(method: &Method) -> &'static str {
    const KNOWN: [(&Method, &str); 7] = [
        (&Method::GET, "GET"),
        (&Method::POST, "POST"),
        (&Method::HEAD, "HEAD"),
        (&Method::PUT, "PUT"),
        (&Method::PATCH, "PATCH"),
        (&Method::DELETE, "DELETE"),
        (&Method::OPTIONS, "OPTIONS"),
    ];
    let known = KNOWN.iter().find(|(known, _)| *known == method);
    known.map_or(OTHER, |(_, word)| word)
}
