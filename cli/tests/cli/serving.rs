//! The service as a process: what systemd hands over and is told, TLS by its flags.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Workplace, bundle, environment, stderr};

/// Becomes the program with its standard input as the socket that systemd would hand over.
const HAND_OVER: &str = "exec 3<&0 0</dev/null; LISTEN_PID=$$ exec \"$@\"";
const REQUEST: &[u8] = b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

fn handed(place: &Workplace, socket: OwnedFd, count: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", HAND_OVER, "sh", env!("CARGO_BIN_EXE_offshoot"), "serve", bundle()]);
    command.envs(environment()).env("LISTEN_FDS", count).current_dir(place.path("."));
    command.stdin(Stdio::from(socket)).stderr(Stdio::piped());
    command
}

fn ended(mut child: Child) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}

/// What the service says first: where it is.
fn said(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

#[test]
fn a_socket_of_systemd_is_served_and_systemd_is_told() {
    let place = Workplace::new();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let heard = UnixDatagram::bind(place.path("notify")).unwrap();
    heard.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let hear = || {
        let mut text = [0; 64];
        let n = heard.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..n]).into_owned()
    };
    // Before the service is there, its clients wait.
    let mut early = std::net::TcpStream::connect(address).unwrap();
    early.write_all(REQUEST).unwrap();
    let mut command = handed(&place, socket.into(), "1");
    command.env("NOTIFY_SOCKET", place.path("notify")).env("WATCHDOG_USEC", "200000");
    let mut child = command.spawn().unwrap();
    assert_eq!(hear(), "READY=1");
    assert_eq!(said(&mut child), format!("http://{address}/"));
    let mut answer = String::new();
    early.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for _ in 0..3 {
        assert_eq!(hear(), "WATCHDOG=1");
    }
    ended(child);
    let mut last = hear();
    while last == "WATCHDOG=1" {
        last = hear();
    }
    assert_eq!(last, "STOPPING=1");
}

#[test]
fn a_unix_socket_of_systemd_is_served() {
    let place = Workplace::new();
    let path = place.path("offshoot.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let mut child = handed(&place, socket.into(), "1").spawn().unwrap();
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(REQUEST).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(said(&mut child), "the socket that was handed over");
    ended(child);
}

#[test]
fn sockets_that_cannot_be_served_are_refused() {
    let place = Workplace::new();
    let refused = |socket: OwnedFd, count: &str, reason: &str| {
        let output = handed(&place, socket, count).spawn().unwrap().wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && told.contains(reason), "{told}");
    };
    let tcp = |address: &str| OwnedFd::from(TcpListener::bind(address).unwrap());
    refused(tcp("127.0.0.1:0"), "2", "2 sockets were handed over");
    refused(tcp("0.0.0.0:0"), "1", "--keys");
    let datagrams = UnixDatagram::bind(place.path("datagrams")).unwrap();
    refused(datagrams.into(), "1", "no stream of TCP or Unix");
}

#[test]
fn tls_is_spoken_with_a_client_that_trusts_the_certificate() {
    let place = Workplace::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    place.write("the.crt", made.cert.pem());
    place.write("the.key", made.signing_key.serialize_pem());
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    place.write("other.key", other.signing_key.serialize_pem());

    let serve = ["serve", bundle(), "--listen", "127.0.0.1:0", "--tls-certificate", "the.crt"];
    let alone = place.offshoot(&serve).assert().code(2);
    assert!(stderr(&alone).contains("--tls-key"), "{}", stderr(&alone));
    for (key, reason) in [
        ("other.key", "other.key cannot be used for TLS: it is not the key of the first"),
        ("the.crt", "the.crt cannot be used for TLS: it holds no private key"),
        ("none.key", "cannot read none.key"),
    ] {
        let told =
            stderr(&place.offshoot(&[&serve[..], &["--tls-key", key]].concat()).assert().failure());
        assert!(told.contains(reason), "{told}");
    }

    let mut child = place
        .process(&[&serve[..], &["--tls-key", "the.key"]].concat())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let address = said(&mut child);
    let port = address.strip_prefix("https://127.0.0.1:").unwrap().trim_end_matches('/');
    let url = format!("https://localhost:{port}/ready");
    for (option, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let curl = Command::new("curl")
            .args([
                "-sS",
                "--noproxy",
                "*",
                option,
                "--cacert",
                "the.crt",
                "-w",
                " %{http_version}",
            ])
            .arg(&url)
            .current_dir(place.path("."))
            .output();
        let Ok(curl) = curl else {
            eprintln!("not tested, since there is no curl");
            break;
        };
        let told = String::from_utf8_lossy(&curl.stderr);
        if told.contains("the installed libcurl version doesn't support this") {
            eprintln!("not tested with HTTP/{version}, which this curl does not speak");
            continue;
        }
        let found = String::from_utf8_lossy(&curl.stdout);
        assert_eq!(found, format!("{{\"ready\":true}} {version}"), "{told}");
    }
    ended(child);
}
