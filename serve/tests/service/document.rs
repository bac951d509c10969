//! The OpenAPI document: it names every route, and its schemas fit what is answered.

use serde_json::{Value, json};

use crate::client::Service;

/// Every route that clients rely on.
const ROUTES: [&str; 39] = [
    "DELETE /v1/learners/{id}",
    "GET /",
    "GET /health",
    "GET /info",
    "GET /metrics",
    "GET /openapi.json",
    "GET /page/{file}",
    "GET /ready",
    "GET /v1/learners",
    "GET /v1/learners/{id}",
    "GET /v1/learners/{id}/examples",
    "GET /v1/learners/{id}/export/head",
    "GET /v1/learners/{id}/export/learner",
    "GET /v1/learners/{id}/export/onnx",
    "GET /v1/learners/{id}/export/statistics",
    "GET /v1/learners/{id}/suspects",
    "GET /v1/models",
    "GET /v1/models/{name}",
    "POST /",
    "POST /decode",
    "POST /embed",
    "POST /embed_all",
    "POST /embeddings",
    "POST /predict",
    "POST /similarity",
    "POST /tokenize",
    "POST /v1/embed",
    "POST /v1/embeddings",
    "POST /v1/learners",
    "POST /v1/learners/{id}/evaluate",
    "POST /v1/learners/{id}/forget",
    "POST /v1/learners/{id}/import",
    "POST /v1/learners/{id}/merge",
    "POST /v1/learners/{id}/predict",
    "POST /v1/learners/{id}/relabel",
    "POST /v1/learners/{id}/suggest",
    "POST /v1/learners/{id}/teach",
    "POST /v1/learners/{id}/undo",
    "POST /v1/learners/{id}/weigh",
];

/// Where `value` does not fit `schema`: the parts of JSON Schema that the document uses.
fn misfit(api: &Value, schema: &Value, value: &Value) -> Option<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let target = api.pointer(name.trim_start_matches('#')).expect("a known schema");
        return misfit(api, target, value);
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(all) = schema[key].as_array() {
            let fits = all.iter().filter(|one| misfit(api, one, value).is_none()).count();
            if fits == 0 || (key == "oneOf" && fits > 1) {
                return Some(format!("{value} fits {fits} of {schema}"));
            }
        }
    }
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    let right = match &schema["type"] {
        Value::Null => true,
        Value::Array(kinds) => kinds.iter().any(is),
        kind => is(kind),
    };
    if !right {
        return Some(format!("{value} is no {}", schema["type"]));
    }
    if let Some(rows) = value.as_array() {
        return rows.iter().find_map(|row| misfit(api, &schema["items"], row));
    }
    let fields = value.as_object()?;
    for name in schema["required"].as_array().into_iter().flatten() {
        if !fields.contains_key(name.as_str().unwrap()) {
            return Some(format!("{name} is missing"));
        }
    }
    fields.iter().find_map(|(name, field)| {
        let own = schema["properties"].get(name);
        misfit(api, own.or(schema.get("additionalProperties"))?, field)
    })
}

#[test]
fn the_document_names_every_route_and_each_is_there() {
    let service = Service::start();
    let api = service.get("/openapi.json").good();
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(api["components"]["securitySchemes"]["key"]["scheme"], "bearer");
    let mut found = Vec::new();
    for (path, methods) in api["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            let real = path.replace("{id}", "none").replace("{name}", "tiny");
            let answer = service.send(&method, &real.replace("{file}", "main.js"), &[], b"");
            assert_ne!(answer.status, 405, "{method} {path}");
            assert!(!answer.text().contains("nothing at this address"), "{method} {path}");
            let told = &operation["responses"][answer.status.to_string()];
            assert!(told.is_object(), "{method} {path} answers {} untold", answer.status);
            assert!(operation["responses"]["500"].is_object());
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let in_path =
                    path.contains(&format!("{{{}}}", parameter["name"].as_str().unwrap()));
                assert_eq!(parameter["in"], if in_path { "path" } else { "query" }, "{path}");
            }
            found.push(format!("{method} {path}"));
        }
    }
    found.sort();
    for route in ROUTES {
        assert!(found.iter().any(|found| found == route), "{route} is not in {found:#?}");
    }
}

#[test]
fn schemas_of_the_document_fit_real_answers() {
    let service = Service::start();
    let api = service.get("/openapi.json").good();
    let ask = |method: &str, path: &str, place: &str, body: Value| -> Value {
        let headers = [("content-type", "application/json")];
        let answer = service.send(method, path, &headers, body.to_string().as_bytes());
        let operation = &api["paths"][place][method.to_lowercase()];
        if method == "POST" && answer.status < 400 && !body.is_null() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            assert_eq!(misfit(&api, schema, &body), None, "the request {path}");
        }
        let kind = answer.header("content-type").unwrap();
        let told = &operation["responses"][answer.status.to_string()]["content"];
        assert!(told[kind].is_object(), "{path}: {} {kind} is untold", answer.status);
        assert_eq!(misfit(&api, &told[kind]["schema"], &answer.json()), None, "{path}");
        answer.json()
    };
    let none = Value::Null;
    for path in ["/info", "/ready", "/v1/models", "/v1/learners"] {
        ask("GET", path, path, none.clone());
    }
    ask("GET", "/v1/models/tiny", "/v1/models/{name}", none.clone());
    ask("GET", "/v1/models/none", "/v1/models/{name}", none.clone());
    for encoding in ["float", "base64"] {
        let body = json!({"input": ["a", "film"], "encoding_format": encoding});
        ask("POST", "/v1/embeddings", "/v1/embeddings", body);
    }
    ask("POST", "/v1/embeddings", "/v1/embeddings", json!({"input": [3, 4]}));
    ask("POST", "/v1/embeddings", "/v1/embeddings", json!({"input": []}));
    ask("POST", "/embed", "/embed", json!({"inputs": "a"}));
    ask("POST", "/embed", "/embed", json!({"inputs": 1}));
    let compared = json!({"inputs": {"source_sentence": "a", "sentences": ["a", "film"]}});
    ask("POST", "/similarity", "/similarity", compared.clone());
    ask("POST", "/", "/", compared);
    ask("POST", "/", "/", json!({"inputs": ["a"]}));
    ask("POST", "/tokenize", "/tokenize", json!({"inputs": "a film"}));
    ask("POST", "/decode", "/decode", json!({"ids": [4, 5]}));

    ask("POST", "/v1/learners", "/v1/learners", json!({"id": "a", "model": "tiny"}));
    ask("POST", "/v1/learners", "/v1/learners", json!({"id": "a", "model": "tiny"}));
    let of = |method: &str, verb: &str, body: Value| {
        ask(
            method,
            &format!("/v1/learners/a{verb}"),
            &format!("/v1/learners/{{id}}{}", verb.split('?').next().unwrap()),
            body,
        )
    };
    let example = |text: &str, label: &str| json!({"text": text, "label": label});
    let examples = json!({"examples": [example("good film", "film"), example("a film", "film"),
        example("win money", "mail"), example("free money", "mail"), {"text": "a"}]});
    let ids = of("POST", "/teach", examples.clone())["ids"].clone();
    of("GET", "", none.clone());
    ask("GET", "/v1/learners", "/v1/learners", none.clone());
    of("GET", "/examples?limit=3", none.clone());
    of("POST", "/predict", json!({"inputs": ["film", {"text": "a"}]}));
    of("POST", "/predict", json!({"inputs": ["film"], "coverage": 0.8, "false_accepts": 0.2}));
    ask("POST", "/predict", "/predict", json!({"inputs": "film"}));
    ask("POST", "/predict", "/predict", json!({"inputs": [["film"], ["a"]], "learner": "a"}));
    ask("POST", "/predict", "/predict", json!({"inputs": ["film", "a"]}));
    ask("POST", "/embed_all", "/embed_all", json!({"inputs": "film"}));
    of("POST", "/predict", json!({"inputs": [{"signal": [[0.5]]}]}));
    of("POST", "/evaluate", json!({"examples": [example("good film", "film")]}));
    of("POST", "/suggest", json!({"inputs": ["film", "a"], "by": "entropy"}));
    of("GET", "/suspects", none.clone());
    of("POST", "/relabel", json!({"example": ids[0], "label": null}));
    of("POST", "/weigh", json!({"example": ids[0], "weight": 2.0}));
    of("POST", "/undo", none.clone());
    of("POST", "/forget", json!({"examples": [ids[0]]}));
    of("POST", "/forget", json!({"examples": [ids[0]]}));
}
