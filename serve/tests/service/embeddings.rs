//! OpenAI's protocol and that of Text Embeddings Inference, against the library itself.

use base64::Engine;
use ndarray::Array2;
use serde_json::{Value, json};

use crate::client::Service;

const TEXTS: [&str; 3] = ["the film was good", "a dull plot", "free money today , win !"];

fn vectors(service: &Service, texts: &[&str]) -> Array2<f32> {
    let encoder = offshoot_tests::open(&service.bundle("tiny"));
    encoder.embed(texts).unwrap().into_vectors()
}

fn assert_near(found: &Value, expected: ndarray::ArrayView1<'_, f32>) {
    let found: Vec<f32> = serde_json::from_value(found.clone()).unwrap();
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn openai_embeddings_are_those_of_the_library() {
    let service = Service::start();
    let expected = vectors(&service, &TEXTS);
    let answer = service.post("/v1/embeddings", &json!({"model": "tiny", "input": TEXTS})).good();
    assert_eq!(answer["object"], "list");
    assert_eq!(answer["model"], "tiny");
    for (i, row) in expected.outer_iter().enumerate() {
        assert_eq!(answer["data"][i]["index"], i);
        assert_eq!(answer["data"][i]["object"], "embedding");
        assert_near(&answer["data"][i]["embedding"], row);
    }
    let encoder = offshoot_tests::open(&service.bundle("tiny"));
    let tokens = encoder.embed(&TEXTS).unwrap().tokens();
    assert_eq!(answer["usage"], json!({"prompt_tokens": tokens, "total_tokens": tokens}));

    let one = service.post(
        "/v1/embeddings",
        &json!({"model": "tiny", "input": TEXTS[0],
        "encoding_format": "base64"}),
    );
    let text = one.good()["data"][0]["embedding"].as_str().unwrap().to_owned();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let floats: Vec<f32> =
        bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    assert_near(&json!(floats), expected.row(0));

    // Token ids, with special tokens and without.
    let ids = encoder.tokenize(TEXTS[1], &Default::default()).unwrap().ids;
    let bare = &ids[1..ids.len() - 1];
    for input in [json!(ids), json!(bare), json!([bare])] {
        let answer = service.post("/v1/embeddings", &json!({"model": "tiny", "input": input}));
        assert_near(&answer.good()["data"][0]["embedding"], expected.row(1));
    }

    let options =
        offshoot::EmbedOptions { dimensions: std::num::NonZero::new(8), ..Default::default() };
    let cut = encoder.embed_with(&TEXTS[..1], &options).unwrap().into_vectors();
    let body = json!({"model": "tiny", "input": TEXTS[0], "dimensions": 8});
    assert_near(&service.post("/v1/embeddings", &body).good()["data"][0]["embedding"], cut.row(0));
}

#[test]
fn openai_models_and_errors_have_their_form() {
    let service = Service::start();
    let models = service.get("/v1/models").good();
    let names: Vec<&str> =
        models["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["tiny", "images", "signals"]);
    assert_eq!(service.get("/v1/models/tiny").good()["object"], "model");
    let error = |body: Value| {
        let answer = service.post("/v1/embeddings", &body);
        let json = answer.json();
        assert!(json["error"]["message"].is_string() && json["error"]["type"].is_string());
        (answer.status, json["error"]["code"].clone())
    };
    assert_eq!(error(json!({"model": "none", "input": "a"})), (404, json!("model_not_found")));
    assert_eq!(error(json!({"model": "tiny", "input": []})).0, 400);
    assert_eq!(error(json!({"model": "tiny"})).0, 400);
    assert_eq!(error(json!({"model": "tiny", "input": "a", "dimensions": 33})).0, 400);
    assert_eq!(error(json!({"model": "tiny", "input": [100_000]})).0, 400);
    assert_eq!(error(json!({"model": "images", "input": "a"})).0, 400);
    let wrong = service.send("GET", "/v1/embeddings", &[], b"");
    assert_eq!(wrong.status, 405);
    assert!(wrong.json()["error"]["message"].is_string());
}

#[test]
fn routes_of_text_embeddings_inference() {
    let service = Service::start();
    let expected = vectors(&service, &TEXTS);
    let rows = service.post("/embed", &json!({"inputs": TEXTS})).good();
    for (i, row) in expected.outer_iter().enumerate() {
        assert_near(&rows[i], row);
    }
    assert_near(&service.post("/", &json!({"inputs": TEXTS[0]})).good()[0], expected.row(0));
    let body = json!({"inputs": {"source_sentence": TEXTS[0], "sentences": TEXTS[1..]}});
    for path in ["/", "/similarity"] {
        let cosines = service.post(path, &body).good();
        for i in 1..3 {
            let cosine: f32 = expected.row(0).dot(&expected.row(i));
            assert!((cosines[i - 1].as_f64().unwrap() as f32 - cosine).abs() < 1e-5);
        }
    }
    let tokens = service.post("/tokenize", &json!({"inputs": "Dull films"})).good();
    let film = json!({"id": tokens[0][2]["id"], "text": "film", "special": false, "start": 5,
                      "stop": 9});
    assert_eq!(tokens[0][2], film);
    assert_eq!(tokens[0][0]["special"], true);
    assert_eq!(tokens[0][0]["start"], Value::Null);
    let ids: Vec<u64> =
        tokens[0].as_array().unwrap().iter().map(|t| t["id"].as_u64().unwrap()).collect();
    assert_eq!(service.post("/decode", &json!({"ids": ids})).good(), json!(["dull films"]));
    let info = service.get("/info").good();
    assert_eq!(info["model_type"], json!({"embedding": {"pooling": "mean"}}));
    assert_eq!(info["max_input_length"], 64);
    assert_eq!(service.get("/health").status, 200);

    let long = "a ".repeat(200);
    assert_eq!(service.post("/embed", &json!({"inputs": long})).status, 200);
    let refused = service.post("/embed", &json!({"inputs": long, "truncate": false}));
    assert_eq!((refused.status, &refused.json()["error_type"]), (422, &json!("Validation")));
    let empty = service.post("/embed", &json!({"inputs": []}));
    assert_eq!((empty.status, &empty.json()["error_type"]), (400, &json!("Empty")));
}

#[test]
fn many_clients_get_what_each_asked_for() {
    let service = Service::start();
    let texts: Vec<String> =
        (0..64).map(|i| "film good a plot ".repeat(1 + i % 9) + TEXTS[i % 3]).collect();
    let borrowed: Vec<&str> = texts.iter().map(String::as_str).collect();
    let expected = vectors(&service, &borrowed);
    std::thread::scope(|scope| {
        for (text, row) in texts.iter().zip(expected.outer_iter()) {
            let service = &service;
            scope.spawn(move || {
                for _ in 0..4 {
                    let answer = service.post("/embed", &json!({"inputs": text})).good();
                    assert_near(&answer[0], row);
                }
            });
        }
    });
    let metrics = service.get("/metrics").text();
    assert!(metrics.contains("offshoot_inputs_total 256"), "{metrics}");
    assert!(metrics.contains("route=\"/embed\",method=\"POST\",status=\"200\"} 256"));
}

#[test]
fn a_stream_of_lines_is_answered_line_by_line() {
    let service = Service::start();
    let expected = vectors(&service, &TEXTS);
    let mut lines = String::new();
    for i in 0..200 {
        lines.push_str(&json!({"id": format!("n{i}"), "text": TEXTS[i % 3]}).to_string());
        lines.push('\n');
    }
    lines.push_str("\n{broken\n\"a dull plot\"");
    let headers = [("content-type", "application/x-ndjson")];
    let answer = service.send("POST", "/v1/embed?model=tiny", &headers, lines.as_bytes());
    assert_eq!(answer.status, 200);
    let text = answer.text();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 202);
    for (i, row) in rows[..200].iter().enumerate() {
        assert_eq!((&row["index"], &row["id"]), (&json!(i), &json!(format!("n{i}"))));
        assert_near(&row["embedding"], expected.row(i % 3));
    }
    assert!(rows[200]["error"].is_string());
    assert_near(&rows[201]["embedding"], expected.row(1));
    let wrong = service.send("POST", "/v1/embed", &[("content-type", "text/plain")], b"a");
    assert_eq!(wrong.header("content-type"), Some("application/problem+json"));
}

#[test]
fn a_bundle_is_replaced_under_load_and_no_request_is_lost() {
    let service = Service::start();
    let old = vectors(&service, &TEXTS[..1]);
    service.post("/v1/learners", &json!({"id": "old", "model": "tiny"})).good();
    let other = offshoot_tests::tiny::bundle(service.folder.path(), "other", 2);
    let new = offshoot_tests::open(&other).embed(&TEXTS[..1]).unwrap().into_vectors();
    let near = |found: &Value, row: ndarray::ArrayView1<'_, f32>| {
        let found: Vec<f32> = serde_json::from_value(found.clone()).unwrap();
        found.iter().zip(row).all(|(a, b)| (a - b).abs() < 1e-5)
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut swapped = 0;
                while swapped < 20 {
                    let answer = service.post("/embed", &json!({"inputs": TEXTS[0]})).good();
                    let is_new = near(&answer[0], new.row(0));
                    assert!(is_new || (swapped == 0 && near(&answer[0], old.row(0))));
                    swapped += i32::from(is_new);
                }
            });
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
        std::fs::rename(&other, service.bundle("tiny")).unwrap();
        let done = service.reload.run();
        assert!(matches!(done[0], (_, Ok(true))) && matches!(done[1], (_, Ok(false))), "{done:?}");
    });
    // A learner of the old encoder is not asked with the new one.
    assert_eq!(service.get("/v1/learners/old").status, 409);
    std::fs::write(service.bundle("tiny"), "no bundle").unwrap();
    assert!(service.reload.run()[0].1.is_err());
    service.post("/embed", &json!({"inputs": TEXTS[0]})).good();
}
