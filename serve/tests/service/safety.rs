//! Who may, how much, and what an answer never holds.

use std::time::Duration;

use offshoot_serve::{Config, Server, new_key};
use serde_json::json;

use crate::client::Service;

#[test]
fn a_learner_belongs_to_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    let keys = ["a", "b"].map(|name| format!("Bearer {}", new_key(&file, name).unwrap()));
    let service = Service::with(folder, |config| config.keys = Some(file));
    let send = |key: &str, method: &str, path: &str, body: &str| {
        let headers = [("authorization", key), ("content-type", "application/json")];
        service.send(method, path, &headers, body.as_bytes())
    };
    let none = service.get("/v1/models");
    assert_eq!((none.status, none.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(none.json()["error"]["code"], "invalid_api_key");
    assert_eq!(send("Bearer off_wrong", "GET", "/v1/models", "").status, 401);
    assert_eq!(service.get("/metrics").status, 401);
    assert_eq!(service.get("/health").status, 200);
    assert_eq!(service.get("/").status, 200);
    assert_eq!(send(&keys[0], "POST", "/v1/learners", r#"{"id": "x"}"#).status, 201);
    assert_eq!(send(&keys[0], "GET", "/v1/learners/x", "").status, 200);
    assert_eq!(send(&keys[1], "GET", "/v1/learners/x", "").status, 404);
    let listed = send(&keys[1], "GET", "/v1/learners", "").good();
    assert_eq!(listed, json!({"learners": []}));
    assert_eq!(send(&keys[1], "POST", "/v1/learners", r#"{"id": "x"}"#).status, 201);
}

#[test]
fn a_damaged_file_of_keys_leaves_the_keys_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    let key = format!("Bearer {}", new_key(&file, "a").unwrap());
    let service = Service::with(folder, |config| config.keys = Some(file.clone()));
    let status = || service.send("GET", "/v1/models", &[("authorization", &key)], b"").status;
    assert!(!service.reload.keys().unwrap());
    for damaged in ["", "a 12", "# none"] {
        std::fs::write(&file, damaged).unwrap();
        service.reload.keys().unwrap_err();
        assert_eq!(status(), 200);
    }
    std::fs::remove_file(&file).unwrap();
    new_key(&file, "b").unwrap();
    assert!(service.reload.keys().unwrap());
    assert_eq!(status(), 401);
}

#[test]
fn pages_of_other_sites_and_other_hosts_are_refused() {
    let service = Service::start();
    let get = |headers: &[(&str, &str)]| service.send("GET", "/v1/models", headers, b"").status;
    assert_eq!(get(&[("origin", "https://example.org")]), 403);
    assert_eq!(get(&[("host", "rebound.example.org:8080")]), 403);
    assert_eq!(get(&[("host", "localhost:8080"), ("origin", "http://localhost:8080")]), 200);
    assert_eq!(get(&[("host", "[::1]:8080")]), 200);
    let form = [("content-type", "text/plain")];
    assert_eq!(service.send("POST", "/embed", &form, b"{\"inputs\": \"a\"}").status, 415);
}

#[test]
fn names_are_no_paths_and_answers_hold_none() {
    let service = Service::start();
    for id in ["../x", "a/b", "A", "", ".", "a.b"] {
        let answer = service.post("/v1/learners", &json!({"id": id, "model": "tiny"}));
        assert_eq!(answer.status, 400, "{id}");
    }
    let folder = service.folder.path().join("learners/local");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("broken.learner"), "no learner").unwrap();
    let place = service.folder.path().to_str().unwrap();
    for path in ["/v1/learners", "/v1/learners/broken", "/v1/learners/none", "/nothing"] {
        assert!(!service.get(path).text().contains(place), "{path}");
    }
    assert_eq!(service.get("/v1/learners/%2e%2e%2fx").status, 400);
    assert_eq!(service.get("/nothing").json()["error_type"], "Validation");
}

#[test]
fn requests_beyond_a_limit_are_refused_properly() {
    let service = Service::with(tempfile::tempdir().unwrap(), |config: &mut Config| {
        config.max_bytes = 2000;
        config.max_inputs = 3;
    });
    let large = service.post("/embed", &json!({"inputs": "a".repeat(3000)}));
    assert_eq!(large.status, 413);
    let many = service.post("/embed", &json!({"inputs": ["a", "b", "c", "d"]}));
    assert_eq!(many.status, 422);
    let broken = service.send("POST", "/embed", &[("content-type", "application/json")], b"{");
    assert_eq!(broken.status, 422);
}

#[test]
fn a_full_queue_answers_429_and_loses_nothing() {
    let service = Service::with(tempfile::tempdir().unwrap(), |config| config.queue_tokens = 400);
    service.post("/embed", &json!({"inputs": "a"})).good();
    let body = json!({"inputs": vec!["film ".repeat(60); 20]});
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..24)
            .map(|_| {
                scope.spawn(|| {
                    let answer = service.post("/embed", &body);
                    if answer.status == 429 {
                        let seconds = answer.header("retry-after").unwrap();
                        assert!(seconds.parse::<u64>().unwrap() >= 1);
                        assert_eq!(answer.json()["error_type"], "Overloaded");
                    } else {
                        assert_eq!(answer.good().as_array().unwrap().len(), 20);
                    }
                    answer.status
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(statuses.contains(&200), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    service.post("/embed", &json!({"inputs": "a"})).good();
}

#[test]
fn a_request_in_progress_is_answered_at_the_end() {
    let service = Service::start();
    service.post("/embed", &json!({"inputs": "a"})).good();
    let address = service.address;
    let body = json!({"inputs": vec!["film good ".repeat(30); 300]}).to_string();
    let request = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let head = format!(
            "POST /embed HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: \
             application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    // It is in progress once its tokens wait.
    while !service.get("/metrics").text().lines().any(|line| {
        line.strip_prefix("offshoot_queue_tokens ").is_some_and(|n| n.parse::<u64>().unwrap() > 0)
    }) && !request.is_finished()
    {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(service.stop());
    assert!(request.join().unwrap().starts_with("HTTP/1.1 200"));
}

#[test]
fn other_machines_need_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(Vec::new(), folder.path().join("learners"));
    config.address = "0.0.0.0:0".parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error = runtime.block_on(Server::bind(config)).unwrap_err().to_string();
    assert!(error.contains("--keys"), "{error}");
}

#[test]
fn the_page_and_its_files_are_served_under_a_strict_policy() {
    let service = Service::start();
    let page = service.get("/");
    assert!(page.text().contains("<title>"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
    for part in page.text().split('"').filter(|part| part.starts_with("/page/")) {
        assert_eq!(service.get(part).status, 200, "{part}");
    }
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_this_users_alone() {
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("offshoot.sock");
    // One that a process left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let service = Service::with(folder, |config| config.socket = Some(path.clone()));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    stream
        .write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("x-request-id"), "{answer}");
    drop(service);
}
