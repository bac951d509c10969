//! What leaves learners with noise: differential privacy.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use offshoot::adapters::statistics::Statistics;
use offshoot::adapters::{HeadFile, StatisticsFile};
use offshoot::learner::Store;
use serde_json::{Value, json};

use crate::client::{Answer, Service};

/// A learner of `n` examples of each of two classes, one of which weighs less.
fn taught(service: &Service, id: &str, n: usize) {
    service.post("/v1/learners", &json!({"id": id, "model": "tiny"})).good();
    let examples: Vec<Value> = (0..n)
        .flat_map(|i| {
            let weight = if i == 0 { 0.5 } else { 1.0 };
            [
                json!({"text": format!("good film {i}"), "label": "film", "weight": weight}),
                json!({"text": format!("win money {i}"), "label": "mail"}),
            ]
        })
        .collect();
    service.post(&format!("/v1/learners/{id}/teach"), &json!({"examples": examples})).good();
}

fn told(answer: &Answer) -> [f64; 4] {
    ["epsilon", "delta", "rho", "deviation"]
        .map(|name| answer.header(&format!("privacy-{name}")).unwrap().parse().unwrap())
}

fn sums(answer: &Answer) -> Statistics {
    assert_eq!(answer.status, 200, "{}", answer.text());
    StatisticsFile::from_bytes(&answer.body).unwrap().statistics
}

/// The rho that implies (epsilon, delta) by Bun and Steinke's bound, which is looser than the
/// one that is used: `epsilon = rho + 2 √(rho ln(1/delta))`.
fn looser_rho(epsilon: f64, delta: f64) -> f64 {
    let log = (1.0 / delta).ln();
    ((log + epsilon).sqrt() - log.sqrt()).powi(2)
}

#[test]
fn statistics_leave_with_new_noise_each_time_and_say_what_they_cost() {
    let service = Service::start();
    taught(&service, "a", 6);
    let path = "/v1/learners/a/export/statistics";
    let exact = service.get(path);
    assert!(exact.header("privacy-epsilon").is_none());
    let ask = |query: &str| service.get(&format!("{path}?{query}"));
    let (one, two) = (ask("epsilon=2"), ask("epsilon=2"));
    assert!(one.body != two.body && one.body != exact.body);
    assert_eq!(one.header("cache-control"), Some("no-store"));
    let [epsilon, delta, rho, deviation] = told(&one);
    assert_eq!((epsilon, delta, told(&two)), (2.0, 1e-6, told(&one)));
    // The noise of the mechanism: an example of length and weight 1 moves all by √3.
    let least = looser_rho(2.0, 1e-6);
    assert!(rho > least && rho < 2.0 * least, "{rho} {least}");
    let expected = 3f64.sqrt() / (2.0 * rho).sqrt();
    assert!((deviation / expected - 1.0).abs() < 1e-2, "{deviation} {expected}");

    // What differs is of the size of the noise that was told.
    let path = service.folder.path().join("learners/local/a.learner");
    let store = Store::open(&path).unwrap();
    let clean = store.statistics(Statistics::clipped(32, 1.0).unwrap()).unwrap();
    let (clean_sums, noisy) = (clean.means(), sums(&one));
    let mut squares = Vec::new();
    for (class, weight) in clean.weights().iter().enumerate() {
        let noisy_sum = noisy.means().row(class).to_owned() * noisy.weights()[class];
        let sum = clean_sums.row(class).to_owned() * *weight;
        squares.extend((noisy_sum - sum).iter().map(|v| v * v));
    }
    let found = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
    // Of 64 draws the standard deviation is off by less than half, but once in ten millions.
    assert!((0.5..1.5).contains(&(found / deviation)), "{found} {deviation}");

    let [_, delta, stricter, _] = told(&ask("epsilon=0.5&delta=1e-9"));
    assert!(delta == 1e-9 && stricter < rho);
    for (query, says) in [
        ("epsilon=0", "epsilon"),
        ("epsilon=-1", "epsilon"),
        ("epsilon=nan", "epsilon"),
        ("epsilon=1e-9", "epsilon"),
        ("epsilon=x", "epsilon"),
        ("epsilon=1&delta=1", "delta"),
        ("delta=1e-6", "`epsilon`"),
    ] {
        let answer = ask(query);
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
        assert!(answer.json()["detail"].as_str().unwrap().contains(says), "{}", answer.text());
        assert!(answer.header("privacy-epsilon").is_none());
    }
}

#[test]
fn merged_heads_are_private_where_that_is_asked() {
    let service = Service::start();
    taught(&service, "a", 8);
    taught(&service, "b", 8);
    let merge = |body: Value| service.post("/v1/learners/a/merge", &body);
    let exact = merge(json!({"with": ["b"], "head": "nearest-mean"}));
    assert!(exact.header("privacy-rho").is_none());
    let body = json!({"with": ["b"], "head": "nearest-mean", "epsilon": 8, "delta": 1e-5});
    let (one, two) = (merge(body.clone()), merge(body));
    assert!(one.status == 200 && one.body != two.body && one.body != exact.body);
    let [epsilon, delta, ..] = told(&one);
    assert_eq!((epsilon, delta), (8.0, 1e-5));
    HeadFile::from_bytes(&one.body).unwrap();
    // Nearly no noise: nearly the exact sums. The number of examples is their noisy weight.
    let weak = merge(json!({"with": ["b"], "epsilon": 1e6}));
    assert_eq!(HeadFile::from_bytes(&weak.body).unwrap().examples, [15, 16]);
    let drowned = (0..40)
        .map(|_| merge(json!({"with": ["b"], "epsilon": 0.01})))
        .find(|answer| answer.status != 200);
    if let Some(answer) = drowned {
        assert!(answer.status == 409 && answer.text().contains("noise"), "{}", answer.text());
    }

    let shared = service.get("/v1/learners/b/export/statistics?epsilon=4").body;
    let shared = STANDARD.encode(shared);
    // What each device made private is merged; more privacy needs the examples.
    let pooled = merge(json!({"statistics": [shared], "head": "nearest-mean"}));
    assert_eq!(pooled.status, 200, "{}", pooled.text());
    let refused = merge(json!({"statistics": [shared], "epsilon": 1}));
    assert!(refused.status == 400 && refused.text().contains("examples"), "{}", refused.text());
    assert_eq!(merge(json!({"epsilon": 0})).status, 400);
    assert_eq!(merge(json!({"delta": 1e-6})).status, 400);
    // An example that counts more than one cannot hide.
    let heavy = json!({"examples": [{"text": "a film", "label": "film", "weight": 3.0}]});
    service.post("/v1/learners/b/teach", &heavy).good();
    let refused = merge(json!({"with": ["b"], "epsilon": 1}));
    assert!(refused.status == 409 && refused.text().contains("weight"), "{}", refused.text());
}
