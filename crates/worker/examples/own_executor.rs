//! A worker with an executor of one's own. With a server running and this beside it, `{"kind": "shout", "input": "hi"}`
//! becomes `"HI"`.

use std::sync::Arc;

use serde_json::value::to_raw_value;
use taskyard_api::client::Client;
use taskyard_worker::executor::{Context, Executor, Executors, Failure, Finish, Run};
use taskyard_worker::runtime::{Settings, Worker, shutdown_signal};

struct Shout;

#[async_trait::async_trait]
impl Executor for Shout {
    fn kind(&self) -> &str {
        "shout"
    }

    async fn run(&self, run: Run, _: Context) -> Finish {
        match serde_json::from_str::<String>(run.input.get()) {
            Ok(text) => {
                Finish::Completed(to_raw_value(&text.to_uppercase()).expect("text is JSON"))
            }
            Err(error) => Finish::Failed(Failure::lasting("invalid_input", error.to_string())),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::new(&["http://127.0.0.1:8000".parse()?], None)?;
    let executors = Executors::default().with(Shout);
    let worker = Worker::new(Settings::named("shouter"), executors, Arc::new(client));
    let (stop, signal) = shutdown_signal();
    tokio::spawn(async move { tokio::signal::ctrl_c().await.map(|()| stop.request()) });
    worker.run(signal).await?;
    Ok(())
}
