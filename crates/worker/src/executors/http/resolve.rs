//! From names to the addresses that are connected to, of which those that may not be asked are left out.
//!
//! A name may stand for one address when it is looked at and for another when it is connected to. So nothing is looked up
//! beforehand: what is judged here is what the connection is made to.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::allow::{Refused, Rules};

/// Finds the addresses of a name.
#[async_trait::async_trait]
pub trait Resolver: Send + Sync {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's own.
pub(super) struct System {
    turns: Arc<Semaphore>,
}

impl System {
    pub(super) fn new(lookups_max: usize) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(lookups_max.max(1))),
        }
    }
}

#[async_trait::async_trait]
impl Resolver for System {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let host = (name.to_owned(), 0);
        // It holds a thread until the system answers, also where nobody waits for that any more: so it keeps its turn.
        let looking = tokio::spawn(async move {
            let found = tokio::net::lookup_host(host).await;
            drop(turn);
            found.map(|found| found.map(|address| address.ip()).collect())
        });
        looking.await.map_err(io::Error::other)?
    }
}

/// What the HTTP client asks.
pub(super) struct Guarded {
    pub(super) rules: Arc<Rules>,
    pub(super) resolver: Arc<dyn Resolver>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, resolver) = (Arc::clone(&self.rules), Arc::clone(&self.resolver));
        Box::pin(async move {
            let found = resolver.addresses(name.as_str()).await?;
            Ok(Box::new(allowed(&rules, name.as_str(), found)?.into_iter()) as Addrs)
        })
    }
}

fn allowed(
    rules: &Rules,
    name: &str,
    found: Vec<IpAddr>,
) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
    let mut allowed = Vec::new();
    let mut refused: Option<Refused> = None;
    for address in found {
        match rules.check_found(name, address) {
            // The client puts the port in.
            Ok(()) => allowed.push(SocketAddr::new(address, 0)),
            Err(why) => refused = Some(why),
        }
    }
    match refused {
        Some(why) if allowed.is_empty() => Err(why.into()),
        _ if allowed.is_empty() => Err("it has no address".into()),
        _ => Ok(allowed),
    }
}
