mod claim;
mod heartbeat;
mod list;
mod register;
mod report;
