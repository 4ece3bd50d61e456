//! A worker with a kind of its own: `{"kind": "shout", "input": "hello"}` becomes `"HELLO"`.

use std::sync::Arc;

use serde_json::value::to_raw_value;
use taskyard_api::client::Client;
use taskyard_api::logs::Stream;
use taskyard_worker::executor::{Context, Executor, Executors, Failure, Finish, Run};
use taskyard_worker::runtime::{Settings, Worker, shutdown_signal};

struct Shout;

#[async_trait::async_trait]
impl Executor for Shout {
    fn kind(&self) -> &str {
        "shout"
    }

    async fn run(&self, run: Run, context: Context) -> Finish {
        let Ok(text) = serde_json::from_str::<String>(run.input.get()) else {
            return Finish::Failed(Failure::lasting("invalid_input", "the input is not a text"));
        };
        let letters = format!("{} letters to shout", text.chars().count());
        context.reports.log(Stream::Worker, &letters);
        Finish::Completed(to_raw_value(&text.to_uppercase()).expect("text is JSON"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = std::env::var("TASKYARD_URL").unwrap_or("http://127.0.0.1:8000".to_owned());
    let token = std::env::var("TASKYARD_TOKEN").ok();
    let client = Client::new(&[server.parse()?], token.as_deref())?;
    let executors = Executors::default().with(Shout);
    let settings = Settings::named(format!("shouter-{}", std::process::id()));
    let worker = Worker::new(settings, executors, Arc::new(client));
    let (stop, signal) = shutdown_signal();
    tokio::spawn(async move { tokio::signal::ctrl_c().await.map(|()| stop.request()) });
    worker.run(signal).await?;
    Ok(())
}
