//! `/api/v1`: the files mirror the URLs.
//!
//! What workers ask stands in functions of its own, from wire type to wire type, so that the workers within this
//! process take the same way without HTTP.

pub(crate) mod operations;
pub(crate) mod queues;
pub mod tasks;
pub mod workers;

use crate::openapi::operation::Routes;

/// Every route, as `/openapi.json` describes it.
pub(crate) fn describe(routes: &mut Routes<'_>) {
    tasks::described::describe(routes);
    workers::described::describe(routes);
    queues::describe(routes);
    operations::describe(routes);
}
