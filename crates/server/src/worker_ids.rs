//! What the names of workers outside of servers must be, besides what every name must.

use std::fmt;
use std::str::FromStr;

use regex::Regex;
use taskyard_core::name::Name;

/// What stands in the place of a worker's name in the addresses of other routes, and what workers do there.
const ROUTES: [(&str, &str); 2] = [("register", "register"), ("connect", "will connect")];

/// A regular expression that each of them must match; any name where there is none.
#[derive(Clone, Debug, Default)]
pub struct WorkerIds(Option<Regex>);

impl WorkerIds {
    /// # Errors
    /// Says what the name must be.
    pub(crate) fn check(&self, name: &Name) -> Result<(), String> {
        let route = ROUTES.iter().find(|(route, _)| name.as_str() == *route);
        if let Some((route, verb)) = route {
            return Err(format!(
                "is the address that workers {verb} at, /workers/{route}, so a worker of this name could be neither \
                 shown nor deleted; call it otherwise"
            ));
        }
        match &self.0 {
            Some(pattern) if !pattern.is_match(name.as_str()) => Err(format!(
                "must match {pattern}, as this server was told (--worker-id-pattern)"
            )),
            _ => Ok(()),
        }
    }
}

impl FromStr for WorkerIds {
    type Err = regex::Error;

    fn from_str(pattern: &str) -> Result<Self, regex::Error> {
        let pattern = (!pattern.is_empty()).then(|| pattern.parse());
        pattern.transpose().map(Self)
    }
}

/// As it was given.
impl fmt::Display for WorkerIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref().map_or("", Regex::as_str))
    }
}
