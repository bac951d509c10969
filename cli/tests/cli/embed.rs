//! `offshoot embed` and `similarity`.

use serde_json::Value;

use crate::support::{Workplace, bundle, lines, read_npy, stderr, stdout};

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

#[test]
fn one_text_is_one_line_of_json() {
    let place = Workplace::new();
    let run = place.offshoot(&["embed", bundle(), "--one", "a moving time"]).assert().success();
    let value: Value = serde_json::from_str(&stdout(&run)).unwrap();
    assert_eq!(
        (value["text"].as_str(), value["tokens"].as_u64()),
        (Some("a moving time"), Some(5))
    );
    let embedding = numbers(&value["embedding"]);
    let norm: f32 = embedding.iter().map(|v| v * v).sum();
    assert!(embedding.len() == 16 && (norm - 1.0).abs() < 1e-5);
}

#[test]
fn vectors_of_tokens_are_those_that_the_embedding_averages() {
    let place = Workplace::new();
    let args = ["embed", bundle(), "--one", "a moving time"];
    let run = place.offshoot(&args).assert().success();
    let value: Value = serde_json::from_str(&stdout(&run)).unwrap();
    let embedding = numbers(&value["embedding"]);
    let run = place.offshoot(&[&args[..], &["--each-token"]].concat()).assert().success();
    let value: Value = serde_json::from_str(&stdout(&run)).unwrap();
    let vectors: Vec<Vec<f32>> = value["vectors"].as_array().unwrap().iter().map(numbers).collect();
    assert_eq!((vectors.len(), value["ids"].as_array().unwrap().len()), (5, 5));
    let sum = |j: usize| vectors.iter().map(|vector| vector[j]).sum::<f32>();
    let sums: Vec<f32> = (0..embedding.len()).map(sum).collect();
    let norm = sums.iter().map(|v| v * v).sum::<f32>().sqrt();
    for (sum, value) in sums.iter().zip(&embedding) {
        assert!((sum / norm - value).abs() < 1e-5);
    }
    place.offshoot(&["embed", bundle(), "t.txt", "--each-token"]).assert().code(2);
}

#[test]
fn every_input_format_gives_the_same_embeddings() {
    let place = Workplace::new();
    let texts = ["fresh moving", "dull, grey", "say \"once\""];
    place.write("t.txt", texts.join("\n"));
    place.write("t.csv", "id,text\n1,fresh moving\n2,\"dull, grey\"\n3,\"say \"\"once\"\"\"\n");
    place.write(
        "t.tsv",
        "text\tid\nfresh moving\t1\ndull, grey\t2\nsay \"\"once\"\"\t3\n"
            .replace("say \"\"once\"\"", "\"say \"\"once\"\"\""),
    );
    let jsonl: String =
        texts.iter().map(|t| format!("{}\n", serde_json::json!({"text": t}))).collect();
    place.write("t.jsonl", jsonl);
    for name in ["t.txt", "t.csv", "t.tsv", "t.jsonl"] {
        let out = format!("{name}.npy");
        place.offshoot(&["embed", bundle(), name, "-o", &out]).assert().success();
    }
    // Parquet as the program itself writes it, texts included.
    place
        .offshoot(&["embed", bundle(), "t.txt", "-o", "t.parquet", "--with-text"])
        .assert()
        .success();
    place.offshoot(&["embed", bundle(), "t.parquet", "-o", "t.parquet.npy"]).assert().success();
    let (rows, columns, expected) = read_npy(&place.path("t.txt.npy"));
    assert_eq!((rows, columns), (3, 16));
    for name in ["t.csv.npy", "t.tsv.npy", "t.jsonl.npy", "t.parquet.npy"] {
        assert_eq!(read_npy(&place.path(name)).2, expected, "{name}");
    }
    // Standard input, and JSONL on standard output.
    let run = place
        .offshoot(&["embed", bundle(), "--with-text"])
        .write_stdin(texts.join("\n"))
        .assert()
        .success();
    let rows: Vec<Value> =
        stdout(&run).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows[1]["text"], "dull, grey");
    let embeddings: Vec<f32> = rows.iter().flat_map(|row| numbers(&row["embedding"])).collect();
    assert_eq!(embeddings, expected);
    assert_eq!(
        place.names().iter().filter(|name| name.contains(".part")).count(),
        0,
        "{:?}",
        place.names()
    );
}

#[test]
fn many_rows_are_those_of_single_texts_and_of_any_number_of_threads() {
    let place = Workplace::new();
    let text = lines(1500);
    place.write("t.txt", &text);
    place.offshoot(&["embed", bundle(), "t.txt", "-o", "t.npy"]).assert().success();
    let (rows, columns, values) = read_npy(&place.path("t.npy"));
    assert_eq!((rows, columns), (1500, 16));
    for row in [0, 511, 512, 1499] {
        let line = text.lines().nth(row).unwrap();
        let run = place
            .offshoot(&["embed", bundle(), "--threads", "1", "--one", line])
            .assert()
            .success();
        let value: Value = serde_json::from_str(&stdout(&run)).unwrap();
        for (a, b) in numbers(&value["embedding"]).iter().zip(&values[row * columns..]) {
            assert!((a - b).abs() < 1e-5, "row {row}: {a} {b}");
        }
    }
}

#[test]
fn precisions_dimensions_and_prompts_are_obeyed() {
    let place = Workplace::new();
    let embed = |options: &[&str]| -> Value {
        let all = [&["embed", bundle(), "--one", "bright"], options].concat();
        serde_json::from_str(&stdout(&place.offshoot(&all).assert().success())).unwrap()
    };
    let plain = numbers(&embed(&[])["embedding"]);
    let bytes = numbers(&embed(&["--precision", "int8"])["embedding"]);
    let scale = plain.iter().fold(0f32, |most, v| most.max(v.abs())) / 127.0;
    assert!(plain.iter().zip(&bytes).all(|(v, b)| (v - b * scale).abs() <= 0.51 * scale));
    let bits = numbers(&embed(&["--precision", "bits"])["embedding"]);
    assert_eq!(bits.len(), 2);
    for (i, value) in plain.iter().enumerate() {
        assert_eq!((bits[i / 8] as u8 >> (7 - i % 8)) & 1 == 1, *value > 0.0);
    }
    let short = numbers(&embed(&["--dimensions", "4"])["embedding"]);
    let norm = plain[..4].iter().map(|v| v * v).sum::<f32>().sqrt();
    assert!(short.iter().zip(&plain).all(|(s, v)| (s - v / norm).abs() < 1e-5));
    let prompted = embed(&["--prompt", "query"]);
    assert_eq!(prompted["tokens"], 5);
    assert_eq!(prompted["embedding"], embed(&["--prompt", "text:once upon "])["embedding"]);
    let unknown =
        place.offshoot(&["embed", bundle(), "--one", "x", "--prompt", "passage"]).assert().code(2);
    assert!(stderr(&unknown).contains("there is no prompt `passage`, only query"));
}

#[test]
fn long_texts_are_cut_and_counted_or_refused() {
    let place = Workplace::new();
    place.write("t.txt", format!("fresh\n{}\n", "dull ".repeat(100)));
    let cut = place.offshoot(&["embed", bundle(), "t.txt", "-o", "t.npy"]).assert().success();
    assert!(stderr(&cut).contains("1 text was longer than 24 tokens"), "{}", stderr(&cut));
    let refused = place
        .offshoot(&["embed", bundle(), "t.txt", "-o", "u.npy", "--truncate", "error"])
        .assert()
        .code(3);
    assert!(stderr(&refused).contains("the text of row 2 has 102 tokens"), "{}", stderr(&refused));
    assert!(!place.path("u.npy").exists());
}

#[test]
fn similar_texts_are_more_alike() {
    let place = Workplace::new();
    let run = place
        .offshoot(&["similarity", bundle(), "fresh moving", "moving fresh", "dull", "--json"])
        .assert()
        .success();
    let value: Value = serde_json::from_str(&stdout(&run)).unwrap();
    let scores: Vec<Vec<f32>> = value["scores"].as_array().unwrap().iter().map(numbers).collect();
    assert!((scores[0][0] - 1.0).abs() < 1e-5 && scores[0][1] > scores[0][2]);
    assert_eq!(scores[0][2], scores[2][0]);
    place.offshoot(&["similarity", bundle(), "alone"]).assert().code(2);
}

#[test]
fn usage_errors_are_refused_before_any_work() {
    let place = Workplace::new();
    place.write("t.txt", "fresh\n");
    for (args, said) in [
        (&["embed", bundle(), "t.txt", "-o", "t.bin"][..], "--output-format"),
        (
            &["embed", bundle(), "t.txt", "-o", "./t.txt", "--output-format", "jsonl"],
            "t.txt would be replaced",
        ),
        (&["embed", bundle(), "t.txt", "-o", "t.npy", "--with-text"], "cannot hold texts"),
        (&["embed", bundle(), "t.txt", "--output-format", "npy"], "standard output takes JSONL"),
        (&["embed", bundle(), "t.txt", "--resume"], "--output"),
        (&["embed", bundle(), "t.txt", "--one", "x"], "cannot be used with"),
        (&["embed", bundle(), "t.txt", "-o", "t.npy", "--dimensions", "17"], "17 dimensions"),
        (&["embed", bundle(), "t.txt", "--session-option", "x"], "KEY=VALUE"),
        (&["embed", bundle(), "t.txt", "--text", "body"], "text lines have no columns"),
    ] {
        let run = place.offshoot(args).assert().code(2);
        assert!(stderr(&run).contains(said), "{args:?}: {}", stderr(&run));
    }
    assert_eq!(place.names(), ["t.txt"]);
}
