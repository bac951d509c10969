//! Pages of other origins: refused, or those of a list.

use offshoot_serve::{Config, Server, new_key};
use serde_json::json;

use crate::client::{Answer, Service};

const PAGE: &str = "https://app.example.org";

/// What a browser asks before a page sends JSON or a key.
fn preflight(service: &Service, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,x-stainless-os"),
        ("access-control-request-private-network", "true"),
    ];
    service.send("OPTIONS", "/v1/embeddings", &headers, b"")
}

#[test]
fn pages_of_listed_origins_alone_read_answers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    let key = format!("Bearer {}", new_key(&file, "a").unwrap());
    let service = Service::with(folder, |config| {
        config.keys = Some(file);
        config.origins = vec![PAGE.into(), "http://localhost:5173".into()];
    });
    // A browser asks without a key.
    let allowed = preflight(&service, PAGE);
    assert_eq!(allowed.status, 200);
    for (name, value) in [
        ("access-control-allow-origin", PAGE),
        ("access-control-allow-headers", "authorization,content-type,x-stainless-os"),
        ("access-control-allow-private-network", "true"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(allowed.header(name), Some(value), "{}", allowed.head);
    }
    let methods = allowed.header("access-control-allow-methods").unwrap();
    assert_eq!(methods, "GET,POST,DELETE");
    assert_eq!(allowed.header("access-control-allow-credentials"), None);
    assert!(allowed.header("vary").unwrap().to_lowercase().contains("origin"), "{}", allowed.head);

    let ask = |origin: &str, key: &str| {
        let headers =
            [("origin", origin), ("content-type", "application/json"), ("authorization", key)];
        let body = json!({"model": "tiny", "input": "a film"}).to_string();
        service.send("POST", "/v1/embeddings", &headers, body.as_bytes())
    };
    let answer = ask(PAGE, &key);
    answer.good();
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
    assert!(answer.header("access-control-expose-headers").unwrap().contains("x-request-id"));
    // The page must be able to read what is wrong, too.
    let refused = ask(PAGE, "Bearer off_wrong");
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("access-control-allow-origin"), Some(PAGE));

    let like = ["http://app.example.org", "https://app.example.org:444", "null", "*"];
    for other in like.iter().chain(&["https://app.example.org.evil.org", "https://APP.example.org"])
    {
        assert_eq!(preflight(&service, other).header("access-control-allow-origin"), None);
        let answer = ask(other, &key);
        assert_eq!(answer.status, 403, "{other}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{other}");
    }
    let own = format!("http://{}", service.address);
    ask(&own, &key).good();
}

#[test]
fn without_a_list_no_page_of_another_origin_is_let_in() {
    let service = Service::start();
    let asked = preflight(&service, PAGE);
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (403, None));
    assert_eq!(service.get("/v1/models").header("access-control-allow-origin"), None);
}

#[test]
fn what_is_no_origin_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for text in ["*", "https://app.example.org/", "app.example.org"] {
        let mut config = Config::new(Vec::new(), folder.path().join("learners"));
        config.origins = vec![text.into()];
        let error = runtime.block_on(Server::bind(config)).unwrap_err().to_string();
        assert!(error.contains(text) && error.contains("https://app.example.org"), "{error}");
    }
}
