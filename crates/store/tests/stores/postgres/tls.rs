//! TLS, by a door in front of the server that speaks it, with certificates made for these tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use taskyard_store::postgres::PostgresStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::options;
use crate::database::Database;

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/certificates")
        .join(name)
}

/// Who comes in must speak TLS, by this certificate, and is led to the database.
async fn door(database: &Database, name: &str) -> u16 {
    let chain = CertificateDer::pem_file_iter(certificate(&format!("{name}.pem")));
    let chain = chain.unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(certificate(&format!("{name}.key"))).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let server = Url::parse(&database.url()).unwrap();
    let server = (
        server.host_str().unwrap().to_owned(),
        server.port().unwrap_or(5432),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(lead(stream, acceptor.clone(), server.clone()));
        }
    });
    port
}

async fn lead(mut stream: TcpStream, acceptor: TlsAcceptor, server: (String, u16)) -> Option<()> {
    let mut first = [0; 8];
    stream.read_exact(&mut first).await.ok()?;
    // PostgreSQL's SSLRequest: eight bytes with this number.
    if first != [0, 0, 0, 8, 4, 210, 22, 47] {
        return None;
    }
    stream.write_all(b"S").await.ok()?;
    let mut guest = acceptor.accept(stream).await.ok()?;
    let mut host = TcpStream::connect(server).await.ok()?;
    copy_bidirectional(&mut guest, &mut host).await.ok()?;
    Some(())
}

/// How it goes through a door with this certificate, by this name, with these settings.
async fn through(own: &str, host: &str, settings: &str) -> Option<Result<(), String>> {
    let database = Database::migrated().await?;
    let port = door(&database, own).await;
    let mut url = Url::parse(&database.url()).unwrap();
    url.set_host(Some(host)).unwrap();
    url.set_port(Some(port)).unwrap();
    url.set_query(Some(settings));
    let opened = PostgresStore::connect(url.as_str(), options()).await;
    Some(opened.map(drop).map_err(|error| error.to_string()))
}

fn roots(mode: &str, name: &str) -> String {
    let path = certificate(name);
    format!("sslmode={mode}&sslrootcert={}", path.display())
}

#[tokio::test]
async fn a_certificate_is_looked_at_as_far_as_the_address_asks() {
    for (own, host, settings) in [
        ("server", "127.0.0.1", "sslmode=require".to_owned()),
        ("server", "127.0.0.1", "sslmode=prefer".to_owned()),
        ("server", "127.0.0.1", roots("verify-ca", "issuer.pem")),
        ("server", "127.0.0.1", roots("require", "issuer.pem")),
        ("server", "localhost", roots("verify-full", "issuer.pem")),
        // One that the server signed itself, known as it is.
        ("own", "localhost", roots("verify-full", "own.pem")),
        ("own", "127.0.0.1", roots("verify-ca", "own.pem")),
    ] {
        let Some(opened) = through(own, host, &settings).await else {
            return;
        };
        assert_eq!(opened, Ok(()), "{own} as {host} with {settings}");
    }
}

#[tokio::test]
async fn a_certificate_of_a_stranger_or_for_another_name_is_refused() {
    for (own, host, settings) in [
        ("own", "localhost", roots("verify-full", "issuer.pem")),
        ("own", "localhost", roots("verify-ca", "issuer.pem")),
        ("own", "localhost", roots("require", "issuer.pem")),
        ("server", "localhost", roots("verify-full", "own.pem")),
        ("server", "127.0.0.1", roots("verify-full", "issuer.pem")),
        ("own", "127.0.0.1", roots("verify-full", "own.pem")),
    ] {
        let Some(opened) = through(own, host, &settings).await else {
            return;
        };
        let said = opened.expect_err("it was let in");
        assert!(
            said.contains("certificate") && !said.contains('\n'),
            "{said}"
        );
    }
}

#[tokio::test]
async fn without_tls_nothing_is_said_to_a_server_that_asks_for_it() {
    let Some(opened) = through("server", "127.0.0.1", "sslmode=disable").await else {
        return;
    };

    assert!(opened.is_err());
}
