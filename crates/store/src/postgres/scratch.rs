//! Databases for a while: made on the server that an address names, and dropped again. What benchmarks run in.

use url::Url;

use super::OpenError;
use super::address::Address;

/// Where a database of this name is on that server.
pub fn address(server: &str, name: &str) -> Result<String, OpenError> {
    let mut url = Url::parse(server).map_err(|_| OpenError::Address)?;
    url.set_path(checked(name)?);
    Ok(url.into())
}

/// Makes an empty database of this name, which must be one that no other program has, and answers its address.
pub async fn create(server: &str, name: &str) -> Result<String, OpenError> {
    let (address, name) = (address(server, name)?, checked(name)?);
    execute(
        server,
        &format!("create database {name} template template0 encoding 'UTF8'"),
    )
    .await?;
    Ok(address)
}

/// Drops the database of this address, whoever is connected to it.
pub async fn remove(database: &str) -> Result<(), OpenError> {
    let mut server = Url::parse(database).map_err(|_| OpenError::Address)?;
    let name = checked(server.path().trim_start_matches('/'))?.to_owned();
    // A database cannot be dropped by whoever is in it.
    server.set_path("postgres");
    execute(
        server.as_str(),
        &format!("drop database if exists {name} with (force)"),
    )
    .await
}

/// Somebody who looks at a database as it was when they came, until this is dropped: nothing that went since is cleared
/// away meanwhile.
pub struct Onlooker {
    _client: tokio_postgres::Client,
}

pub async fn look_on(database: &str) -> Result<Onlooker, OpenError> {
    let client = connect(database).await?;
    let begin =
        "begin isolation level repeatable read read only; select count(*) from task where false";
    run(database, &client, begin).await?;
    Ok(Onlooker { _client: client })
}

/// Names cannot be parameters.
fn checked(name: &str) -> Result<&str, OpenError> {
    let plain =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    if !name.is_empty() && name.chars().all(plain) {
        Ok(name)
    } else {
        Err(OpenError::Address)
    }
}

async fn execute(server: &str, statement: &str) -> Result<(), OpenError> {
    let client = connect(server).await?;
    run(server, &client, statement).await
}

async fn connect(server: &str) -> Result<tokio_postgres::Client, OpenError> {
    let address = Address::parse(server)?;
    let connected = address.connect().await;
    let (client, connection) = connected.map_err(|not| unusable(&address, not.reason))?;
    tokio::spawn(async move {
        // A statement's own answer tells how it went.
        let _ = connection.await;
    });
    Ok(client)
}

async fn run(
    server: &str,
    client: &tokio_postgres::Client,
    statement: &str,
) -> Result<(), OpenError> {
    let done = client.batch_execute(statement).await;
    let address = Address::parse(server)?;
    done.map_err(|error| unusable(&address, super::error::one_line(&error)))
}

fn unusable(address: &Address, reason: String) -> OpenError {
    OpenError::Unusable {
        server: address.to_string(),
        reason,
    }
}
