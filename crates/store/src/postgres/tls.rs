//! TLS to the database, by rustls. Which certificates are taken is the address's choice, as with PostgreSQL's own
//! clients: anybody's, one of a known issuer, or one of a known issuer for that very name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    server::ParsedCertificate,
};

use super::OpenError;

/// Whose certificates are taken. The paths lead to the issuers' certificates.
pub(super) enum Trust {
    Anybody,
    Issuer(PathBuf),
    Name(PathBuf),
}

pub(super) fn client(trust: &Trust) -> Result<ClientConfig, OpenError> {
    let provider = Arc::new(ring::default_provider());
    let known = match trust {
        Trust::Anybody => None,
        Trust::Issuer(path) | Trust::Name(path) => Some(known(path, &provider)?),
    };
    let verifier = Verifier {
        known,
        any_name: !matches!(trust, Trust::Name(_)),
        provider: Arc::clone(&provider),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows the default versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

fn known(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Known, OpenError> {
    let refused = |reason: &dyn std::fmt::Display| unusable(path, &reason.to_string());
    let mut roots = RootCertStore::empty();
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| refused(&error))? {
        let certificate = certificate.map_err(|error| refused(&error))?;
        roots
            .add(certificate.clone())
            .map_err(|error| refused(&error))?;
        certificates.push(certificate);
    }
    let issuers =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    Ok(Known {
        issuers: issuers.map_err(|error| refused(&error))?,
        certificates,
    })
}

fn unusable(path: &Path, reason: &str) -> OpenError {
    OpenError::Roots {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

#[derive(Debug)]
struct Verifier {
    known: Option<Known>,
    any_name: bool,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Known {
    issuers: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(known) = &self.known else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified = if known.certificates.contains(certificate) {
            // One that the server made for itself, and that was handed over as it is: whatever it says of its use,
            // no issuer can add to that.
            let certificate = ParsedCertificate::try_from(certificate)?;
            verify_server_name(&certificate, name).map(|()| ServerCertVerified::assertion())
        } else {
            let issuers = &known.issuers;
            issuers.verify_server_cert(certificate, between, name, ocsp, now)
        };
        match verified {
            // The name is looked at last, so everything else was in order.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_name => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
