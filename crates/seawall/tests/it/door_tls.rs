//! HTTPS by the door itself.

use std::sync::Arc;

use axum::{Router, routing::get};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use seawall::config::{Config, Overrides};
use seawall::http::door;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

#[tokio::test]
async fn https_with_a_certificate_of_ones_own() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let env = [("SEAWALL_TLS__CERTIFICATE", &certificate), ("SEAWALL_TLS__KEY", &key)]
        .map(|(name, path)| (name.to_owned(), path.display().to_string()));
    let config = Config::load(None, env.into_iter(), Overrides::default()).unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let router = door::finish(Router::new().route("/", get(|| async { "hello" })), &config, Arc::default());
    tokio::spawn(async move { door::serve(listener, router, &config, std::future::pending()).await });

    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    speaks_http2(client.clone(), at).await;
    let stream = TcpStream::connect(at).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.ends_with("hello"), "{answer}");
}

/// HTTP/2 is agreed upon in the handshake.
async fn speaks_http2(mut tls: ClientConfig, at: std::net::SocketAddr) {
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let client =
        reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().resolve("localhost", at);
    let client = client.build().unwrap();
    let answer = client.get(format!("https://localhost:{}/", at.port())).send().await.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    assert_eq!(answer.text().await.unwrap(), "hello");
}

#[test]
fn files_that_do_not_fit_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("empty.pem");
    std::fs::write(&path, "").unwrap();
    let files = seawall::config::TlsFiles { certificate: path.clone(), key: path };
    let refused = door::Tls::load(&files).err().unwrap();
    assert!(refused.contains("empty.pem"), "{refused}");
}
