//! `/embed_all`: the vectors of tokens.

use offshoot::EmbedOptions;
use serde_json::{Value, json};

use crate::client::Service;

const TEXTS: [&str; 3] = ["the film was good", "a dull plot", "free money today , win !"];

fn vectors(answer: &Value) -> Vec<Vec<Vec<f32>>> {
    serde_json::from_value(answer.clone()).unwrap()
}

#[test]
fn they_are_those_of_the_library_and_their_mean_is_the_embedding() {
    let service = Service::start();
    let encoder = offshoot_tests::open(&service.bundle("tiny"));
    let expected = encoder.token_vectors(&TEXTS, &EmbedOptions::default()).unwrap();
    let ask =
        |inputs: Value| vectors(&service.post("/embed_all", &json!({"inputs": inputs})).good());
    let found = ask(json!(TEXTS));
    assert_eq!(found.len(), 3);
    let embeddings = service.post("/embed", &json!({"inputs": TEXTS})).good();
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!((found.len(), found[0].len()), expected.dim());
        for (a, b) in found.iter().flatten().zip(expected) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
        // This encoder averages and gives unit vectors.
        let sum = |j: usize| found.iter().map(|vector| vector[j]).sum::<f32>();
        let sums: Vec<f32> = (0..found[0].len()).map(sum).collect();
        let length = sums.iter().map(|v| v * v).sum::<f32>().sqrt();
        for (j, sum) in sums.iter().enumerate() {
            let embedding = embeddings[i][j].as_f64().unwrap();
            assert!((f64::from(sum / length) - embedding).abs() < 1e-5);
        }
    }
    // A text alone is a list of one; ids are texts too.
    let near = |a: &[Vec<f32>], b: &[Vec<f32>]| {
        a.len() == b.len()
            && a.iter().flatten().zip(b.iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-4)
    };
    let ids = encoder.tokenize(TEXTS[1], &EmbedOptions::default()).unwrap().ids;
    for inputs in [json!(TEXTS[1]), json!(ids), json!([ids])] {
        let one = ask(inputs);
        assert!(one.len() == 1 && near(&one[0], &found[1]));
    }
}

#[test]
fn requests_of_both_kinds_share_a_queue() {
    let service = Service::start();
    let expected = (
        service.post("/embed", &json!({"inputs": TEXTS[0]})).good(),
        service.post("/embed_all", &json!({"inputs": TEXTS[0]})).good(),
    );
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (service, expected) = (&service, &expected);
            scope.spawn(move || {
                for round in 0..20 {
                    let (path, expected) = match (thread + round) % 2 {
                        0 => ("/embed", &expected.0),
                        _ => ("/embed_all", &expected.1),
                    };
                    let found = service.post(path, &json!({"inputs": TEXTS[0]})).good();
                    assert!(near(&found, expected), "{path}");
                }
            });
        }
    });
}

/// Whether two answers have the same shape and nearly the same numbers.
fn near(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(a, b))
        }
        (a, b) => (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-4,
    }
}

#[test]
fn what_cannot_be_answered_is_refused() {
    let service = Service::with(tempfile::tempdir().unwrap(), |config| config.max_numbers = 320);
    let ask = |body: Value| service.post("/embed_all", &body);
    // Ten tokens of 32 numbers.
    let eight = "a b c d e f g h";
    assert_eq!(vectors(&ask(json!({"inputs": eight})).good())[0].len(), 10);
    let more = ask(json!({"inputs": [eight, "a"]}));
    assert_eq!((more.status, &more.json()["error_type"]), (413, &json!("Validation")));
    assert!(more.text().contains("13 tokens") && more.text().contains("320"), "{}", more.text());
    let long = "film ".repeat(200);
    assert_eq!(ask(json!({"inputs": long, "truncate": false})).status, 422);
    assert_eq!(ask(json!({"inputs": []})).status, 400);
    assert_eq!(ask(json!({"inputs": "a", "prompt_name": "none"})).status, 422);

    let service = Service::with(tempfile::tempdir().unwrap(), |config| config.bundles.swap(0, 1));
    let images = service.post("/embed_all", &json!({"inputs": "a"}));
    assert_eq!((images.status, &images.json()["error_type"]), (422, &json!("Validation")));
}
