//! Slow and silent clients, many connections, packed bodies.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use offshoot_serve::Config;
use serde_json::{Value, json};

use crate::client::Service;

fn service(change: impl FnOnce(&mut Config)) -> Service {
    Service::with(tempfile::tempdir().unwrap(), |config| {
        config.head_timeout = Duration::from_millis(300);
        config.body_timeout = Duration::from_millis(300);
        change(config);
    })
}

/// A connection on which `bytes` were sent and no more are.
fn half(service: &Service, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(service.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// All that is answered until the service closes the connection.
fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn half_a_head_is_cut_off() {
    let service = service(|_| {});
    // Nothing at all; half a head; and a beginning that may become HTTP/2.
    for bytes in [&b""[..], b"GET /ready HTTP/1.1\r\nhost: local", b"PRI * HT"] {
        assert_eq!(rest(half(&service, bytes)), "");
    }
    // A connection that is kept open without another request.
    let head = format!("GET /ready HTTP/1.1\r\nhost: {}\r\n\r\n", service.address);
    assert!(rest(half(&service, head.as_bytes())).ends_with(r#"{"ready":true}"#));
}

#[test]
fn half_a_body_is_answered_with_408() {
    let service = service(|_| {});
    let of = |path: &str, kind: &str, encoding: &str| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: {kind}\r\n{encoding}\
             content-length: 100\r\n\r\n",
            service.address
        );
        let mut stream = half(&service, head.as_bytes());
        let body = br#"{"inputs": "a"}"#.to_vec();
        let body = if encoding.is_empty() { body } else { packed(&body)[..20].to_vec() };
        stream.write_all(&body).unwrap();
        rest(stream)
    };
    for path in ["/embed", "/v1/embeddings", "/v1/learners"] {
        for encoding in ["", "content-encoding: gzip\r\n"] {
            let answer = of(path, "application/json", encoding);
            assert!(answer.starts_with("HTTP/1.1 408 "), "{path} {answer}");
        }
    }
    // Lines that arrived are answered, and that the rest did not.
    let head = format!(
        "POST /v1/embed HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-ndjson\r\n\
         content-length: 100\r\n\r\n\"a film\"\n\"half of",
        service.address
    );
    let answer = rest(half(&service, head.as_bytes()));
    let lines: Vec<Value> =
        answer.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let lines: Vec<&Value> = lines.iter().filter(|line| line.is_object()).collect();
    assert_eq!(lines.len(), 2, "{answer}");
    assert!(lines[0]["embedding"].is_array(), "{answer}");
    assert!(lines[1]["error"].as_str().unwrap().contains("in time"), "{answer}");
}

#[test]
fn silent_connections_do_not_keep_others_out() {
    let service = service(|config| config.connections = 4);
    let silent: Vec<TcpStream> = (0..12).map(|_| half(&service, b"GET /ready")).collect();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| service.post("/embed", &json!({"inputs": "a film"})).good());
        }
    });
    drop(silent);
}

#[test]
fn a_client_that_takes_no_answer_is_cut_off() {
    let service = service(|config| config.connections = 1);
    let head = format!("GET /openapi.json HTTP/1.1\r\nhost: {}\r\n\r\n", service.address);
    let greedy = half(&service, head.repeat(400).as_bytes());
    // There is no place for this one before.
    service.get("/ready").good();
    drop(greedy);
}

#[test]
fn idle_connections_do_not_hold_up_the_end() {
    let service = Service::with(tempfile::tempdir().unwrap(), |config| {
        let hour = Duration::from_secs(3600);
        (config.head_timeout, config.body_timeout, config.drain) = (hour, hour, hour);
    });
    let ready = format!("GET /ready HTTP/1.1\r\nhost: {}\r\n\r\n", service.address);
    let idle = [&b""[..], ready.as_bytes()].map(|bytes| half(&service, bytes));
    for mut stream in idle.iter().skip(1) {
        stream.read_exact(&mut [0]).unwrap();
    }
    drop(service.stop());
    drop(idle);
}

#[test]
fn both_versions_of_http_are_spoken_on_one_port() {
    let service = service(|_| {});
    // The preface and an empty frame of settings, RFC 9113 sections 3.4 and 6.5.
    let mut stream = half(&service, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    let mut frame = [0u8; 9];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame[3], 4, "{frame:?}");
    // A client that answers no ping is gone.
    rest(stream);
    service.get("/ready").good();
}

#[test]
fn packed_bodies_are_unpacked_within_the_limit() {
    let service = service(|config| config.max_bytes = 100_000);
    let send = |encoding: &str, body: &[u8]| {
        let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
        service.send("POST", "/embed", &headers, body)
    };
    let body = json!({"inputs": ["a film", "a plot"]});
    let plain = service.post("/embed", &body).good();
    let packed_body = packed(body.to_string().as_bytes());
    assert_eq!(send("gzip", &packed_body).good(), plain);
    let bomb = packed(json!({"inputs": "a".repeat(20_000_000)}).to_string().as_bytes());
    assert!(bomb.len() < 100_000);
    assert_eq!(send("gzip", &bomb).status, 413);
    assert_eq!(send("gzip", body.to_string().as_bytes()).status, 422);
    assert_eq!(send("gzip", &packed_body[..packed_body.len() - 9]).status, 422);
    assert_eq!(send("identity", body.to_string().as_bytes()).good(), plain);
    let other = send("br", &packed_body);
    assert_eq!((other.status, &other.json()["error_type"]), (415, &json!("Validation")));
}
