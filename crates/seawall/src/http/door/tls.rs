//! TLS 1.2 and 1.3 by rustls on ring. The certificate can be replaced while connections are open.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsFiles;

/// The certificate in use.
pub struct Tls {
    files: TlsFiles,
    current: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads and checks both files.
    pub fn load(files: &TlsFiles) -> Result<Self, String> {
        Ok(Tls { files: files.clone(), current: ArcSwap::from_pointee(read(files)?) })
    }

    /// Reads both files again; what was in use stays when they are not in order.
    pub fn reload(&self) -> Result<(), String> {
        self.current.store(Arc::new(read(&self.files)?));
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }
}

fn read(files: &TlsFiles) -> Result<ServerConfig, String> {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| format!("tls.certificate {certificate}: {error}"))?;
    let secret = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| format!("tls.key {key}: {error}; a private key in PEM is needed"))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| format!("tls.certificate {certificate} and tls.key {key}: {error}"))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
