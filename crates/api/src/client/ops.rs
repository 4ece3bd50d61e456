//! The routes of those who look after a server.

use super::error::Error;
use super::transport::{Call, Client};
use crate::health::{Emptied, Swept};

impl Client {
    /// Takes away the runs of workers that are gone, as the server does by itself.
    pub async fn sweep(&self) -> Result<Swept, Error> {
        self.call(Call::post("/api/v1/ops/sweep")).await
    }

    /// Takes everything away. Only a server for development does.
    pub async fn reset(&self) -> Result<Emptied, Error> {
        self.call(Call::post("/api/v1/ops/reset")).await
    }
}
