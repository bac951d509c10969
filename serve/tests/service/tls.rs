//! TLS: both versions of HTTP inside, limits of time and number as without it, renewal.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use offshoot_serve::{Config, TlsFiles};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion, version,
};
use tokio_rustls::{TlsConnector, rustls};

use crate::client::Service;

/// Writes a certificate for `localhost` that signs itself, and its key; gives the certificate.
pub(crate) fn certificate(folder: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("the.crt"), cert.pem()).unwrap();
    std::fs::write(folder.join("the.key"), signing_key.serialize_pem()).unwrap();
    cert.der().clone()
}

pub(crate) fn files(folder: &Path) -> TlsFiles {
    TlsFiles { certificate: folder.join("the.crt"), key: folder.join("the.key") }
}

fn service(change: impl FnOnce(&mut Config)) -> (Service, CertificateDer<'static>) {
    let folder = tempfile::tempdir().unwrap();
    let trusted = certificate(folder.path());
    let tls = files(folder.path());
    let service = Service::with(folder, |config| {
        config.tls = Some(tls);
        change(config);
    });
    (service, trusted)
}

/// Cuts slow clients off soon.
fn impatient(config: &mut Config) {
    config.head_timeout = Duration::from_secs(1);
    config.body_timeout = Duration::from_secs(1);
}

/// A client that trusts this certificate alone.
fn trusting(
    trusted: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

async fn connect(
    address: SocketAddr,
    config: ClientConfig,
) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

type Sent = Request<Full<Bytes>>;

/// The answer to a request over the version of HTTP that was agreed on.
async fn answer(stream: TlsStream<tokio::net::TcpStream>, request: Sent) -> (u16, Vec<u8>) {
    let two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let io = TokioIo::new(stream);
    let answer = if two {
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    } else {
        let (mut sender, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    };
    assert_eq!(answer.version(), if two { Version::HTTP_2 } else { Version::HTTP_11 });
    let status = answer.status().as_u16();
    (status, answer.into_body().collect().await.unwrap().to_bytes().to_vec())
}

fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    two: bool,
) -> hyper::http::request::Builder {
    let host = format!("localhost:{}", address.port());
    let request = Request::builder().method(method);
    match two {
        true => request.uri(format!("https://{host}{path}")),
        false => request.uri(path).header("host", host),
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(work)
}

/// Whether a new client that trusts this certificate alone is answered.
pub(crate) fn trusts(address: SocketAddr, trusted: &CertificateDer<'static>) -> bool {
    run(async {
        let config = trusting(trusted, rustls::ALL_VERSIONS, &["h2"]);
        let Ok(stream) = connect(address, config).await else { return false };
        let ready = request(address, "GET", "/ready", true).body(Full::default()).unwrap();
        answer(stream, ready).await.0 == 200
    })
}

/// A connection on which TLS was agreed on.
fn agreed(
    service: &Service,
    trusted: &CertificateDer<'static>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let config = trusting(trusted, rustls::ALL_VERSIONS, &["http/1.1"]);
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(service.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream
}

/// All that is answered until the service closes the connection.
fn rest(mut stream: impl Read) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        // Cut off without a farewell.
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn both_versions_of_http_give_the_vectors_of_a_plain_connection() {
    let body = json!({"inputs": ["a film", "a plot"]});
    let plain = Service::start().post("/embed", &body).good();
    let (service, trusted) = service(|_| {});
    for versions in [[&version::TLS13], [&version::TLS12]] {
        for protocols in [&["h2", "http/1.1"][..], &["h2"], &["http/1.1"], &[]] {
            let found: Value = run(async {
                let config = trusting(&trusted, &versions, protocols);
                let stream = connect(service.address, config).await.unwrap();
                let two = protocols.contains(&"h2");
                assert_eq!(stream.get_ref().1.alpn_protocol() == Some(b"h2"), two);
                let request = request(service.address, "POST", "/embed", two)
                    .header("content-type", "application/json")
                    .body(Full::from(body.to_string()))
                    .unwrap();
                let (status, body) = answer(stream, request).await;
                assert_eq!(status, 200);
                serde_json::from_slice(&body).unwrap()
            });
            assert_eq!(found, plain);
        }
    }
    // A client without TLS is told so, however much it sends; one of another protocol is refused.
    for more in [0, 20_000] {
        let sent = format!("POST /embed HTTP/1.1\r\nhost: localhost\r\n\r\n{}", "a".repeat(more));
        let told = rest(half(&service, sent.as_bytes()));
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 ") && body.contains("https://"), "{told}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{told}");
    }
    let config = trusting(&trusted, rustls::ALL_VERSIONS, &["h3"]);
    run(connect(service.address, config)).unwrap_err();
}

#[test]
fn over_http_2_other_hosts_and_pages_of_other_sites_are_refused() {
    let (service, trusted) = service(|_| {});
    let status = |host: &str, origin: Option<&str>| {
        let config = trusting(&trusted, rustls::ALL_VERSIONS, &["h2"]);
        let mut request = Request::builder().uri(format!("https://{host}/v1/models"));
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let request = request.body(Full::default()).unwrap();
        run(async { answer(connect(service.address, config).await.unwrap(), request).await.0 })
    };
    assert_eq!(status("localhost:8443", None), 200);
    assert_eq!(status("localhost:8443", Some("https://localhost:8443")), 200);
    assert_eq!(status("localhost:8443", Some("https://example.org")), 403);
    assert_eq!(status("example.org", Some("https://example.org")), 403);
}

/// A connection on which `bytes` were sent and no more are.
fn half(service: &Service, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(service.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// The head of a record of TLS and a part of what it announces, RFC 8446 section 5.1.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00";

#[test]
fn slow_clients_are_cut_off_as_without_tls() {
    let (service, trusted) = service(impatient);
    // Before TLS is agreed on, and after it.
    for bytes in [&b""[..], HALF_A_HELLO] {
        assert_eq!(rest(half(&service, bytes)), "");
    }
    for bytes in [&b""[..], b"GET /ready HTTP/1.1\r\nhost: local", b"PRI * HT"] {
        let mut stream = agreed(&service, &trusted);
        stream.write_all(bytes).unwrap();
        assert_eq!(rest(stream), "");
    }
    let mut stream = agreed(&service, &trusted);
    stream.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    assert!(rest(stream).ends_with(r#"{"ready":true}"#));
    let mut stream = agreed(&service, &trusted);
    stream
        .write_all(
            b"POST /embed HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
              content-length: 100\r\n\r\n{",
        )
        .unwrap();
    assert!(rest(stream).starts_with("HTTP/1.1 408 "));
}

#[test]
fn silent_connections_take_no_more_places_than_without_tls() {
    let few = |places| {
        move |config: &mut Config| {
            impatient(config);
            config.connections = places;
        }
    };
    let (service, trusted) = service(few(4));
    let silent: Vec<TcpStream> = (0..12).map(|_| half(&service, HALF_A_HELLO)).collect();
    for _ in 0..4 {
        assert!(trusts(service.address, &trusted));
    }
    drop(silent);
    drop(service);
    // One that takes no answer has the only place.
    let (service, trusted) = self::service(few(1));
    let mut greedy = agreed(&service, &trusted);
    let asked = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(400);
    let sent = std::thread::scope(|scope| {
        let sending = scope.spawn(|| greedy.write_all(&asked));
        assert!(trusts(service.address, &trusted));
        sending.join().unwrap()
    });
    drop((sent, greedy));
}

#[test]
fn idle_connections_do_not_hold_up_the_end() {
    let (service, trusted) = service(|config| {
        let hour = Duration::from_secs(3600);
        (config.head_timeout, config.body_timeout, config.drain) = (hour, hour, hour);
    });
    let hello = half(&service, HALF_A_HELLO);
    let idle = agreed(&service, &trusted);
    let mut used = agreed(&service, &trusted);
    used.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    used.read_exact(&mut [0]).unwrap();
    drop(service.stop());
    drop((hello, idle, used));
}

#[test]
fn a_renewed_certificate_is_presented_and_open_connections_stay() {
    let (service, old) = service(|_| {});
    let mut open = agreed(&service, &old);
    assert!(!service.reload.certificate().unwrap());
    std::fs::write(service.folder.path().join("the.key"), "damaged").unwrap();
    let error = service.reload.certificate().unwrap_err().to_string();
    assert!(error.contains("the.key") && trusts(service.address, &old), "{error}");
    let new = certificate(service.folder.path());
    assert!(service.reload.certificate().unwrap());
    assert!(trusts(service.address, &new) && !trusts(service.address, &old));
    open.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    assert!(rest(open).starts_with("HTTP/1.1 200"));
}
