//! A worker with a kind of its own: `{"kind": "shout", "input": "hello"}` becomes `"HELLO"`.

use taskyard_api::client::Client;
use taskyard_api::logs::Stream;
use taskyard_worker::executor::{Context, Executor, Executors, Failure, Finish, Run, async_trait};
use taskyard_worker::runtime::{Settings, Worker, until_asked_to_stop};

struct Shout;

#[async_trait]
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
        Finish::completed(&text.to_uppercase())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = Settings::named(format!("shouter-{}", std::process::id()));
    let executors = Executors::default().with(Shout);
    let worker = Worker::new(settings, executors, Client::from_environment()?);
    worker.run(until_asked_to_stop()?).await?;
    Ok(())
}
