mod claim;
mod heartbeat;
mod list;
mod looked_after;
pub(crate) mod pool;
mod register;
mod report;
