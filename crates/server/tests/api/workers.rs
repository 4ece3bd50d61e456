mod claim;
mod heartbeat;
mod list;
mod looked_after;
mod pool;
mod register;
mod report;
