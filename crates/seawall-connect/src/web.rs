//! TLS and HTTP clients with fixed roots and the ring provider; nothing depends on a global installation.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// A body longer than this is not read.
pub(crate) const BODY_AT_MOST: usize = 64 * 1024;
const CONNECT_AT_MOST: Duration = Duration::from_secs(5);
/// Servers drop idle connections after some seconds, and a request that meets the drop ends as "unknown".
const IDLE_AT_MOST: Duration = Duration::from_secs(4);

/// TLS 1.2 and 1.3 with Mozilla's roots, or those of one PEM file instead.
pub fn tls_config(ca_file: Option<&str>) -> Result<ClientConfig, String> {
    let roots = match ca_file {
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        Some(path) => roots_from(path)?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn roots_from(path: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| format!("{path} is not PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("{path} holds an unusable certificate: {error}"))?;
    }
    if roots.is_empty() { Err(format!("{path} holds no certificate")) } else { Ok(roots) }
}

/// A client for one provider: no redirects, no retries. HTTP/1.1 only, whose failures are the best known.
pub(crate) fn client(url: &Url, timeout: Duration) -> Result<Client, String> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls_config(None)?)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .timeout(timeout)
        // Shorter than the whole, to tell a host that cannot be reached from one that does not answer.
        .connect_timeout(CONNECT_AT_MOST.min(timeout / 2))
        .pool_idle_timeout(IDLE_AT_MOST)
        .user_agent(concat!("seawall/", env!("CARGO_PKG_VERSION")));
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| format!("the HTTP client cannot be set up: {error}"))
}

/// Whether the URL names this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Reads a body up to [`BODY_AT_MOST`].
pub(crate) async fn read_body(mut response: reqwest::Response) -> Result<Vec<u8>, &'static str> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| "the answer broke off")? {
        if body.len() + chunk.len() > BODY_AT_MOST {
            return Err("the answer is longer than 64 KiB");
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a failed request says: whether bytes may have left, and why in words without URL or content.
pub(crate) fn failure(error: &reqwest::Error) -> crate::Submission {
    if error.is_builder() {
        let detail = "the request could not be formed".to_owned();
        return crate::Submission::Refused { class: crate::ErrorClass::InvalidFormat, detail };
    }
    if error.is_connect() {
        let detail = if error.is_timeout() { "connecting timed out" } else { "cannot connect" };
        return crate::Submission::Unreachable { detail: detail.to_owned() };
    }
    let detail = if error.is_timeout() { "no answer in time" } else { "the connection broke" };
    crate::Submission::Unknown { detail: detail.to_owned() }
}
