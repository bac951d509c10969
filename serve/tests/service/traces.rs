//! Spans that a collector of OpenTelemetry receives.

use offshoot_serve::{Config, Server};

#[cfg(not(feature = "opentelemetry"))]
#[test]
fn a_program_without_traces_says_so() {
    let error = refused("http://127.0.0.1:4318");
    assert!(error.contains("--features opentelemetry"), "{error}");
}

/// Why the service does not start with this collector.
fn refused(collector: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(Vec::new(), folder.path().join("learners"));
    config.traces = Some(collector.into());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(Server::bind(config)).unwrap_err().to_string()
}

#[cfg(feature = "opentelemetry")]
mod sent {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    use serde_json::json;

    use super::refused;
    use crate::client::Service;

    /// The path and the body of one request.
    fn received(listener: &TcpListener) -> (String, Vec<u8>) {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.to_lowercase());
        }
        let length = lines.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.trim().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        (lines[0].trim().to_owned(), body)
    }

    /// What follows some bytes, each time.
    fn after<'a>(body: &'a [u8], wanted: &[u8]) -> Vec<&'a [u8]> {
        let places = body.windows(wanted.len()).enumerate().filter(|(_, part)| *part == wanted);
        places.map(|(i, _)| &body[i + wanted.len()..]).collect()
    }

    /// The numbers of an attribute: a message with a double in field 4, as
    /// opentelemetry/proto/common/v1/common.proto says.
    fn doubles(body: &[u8], name: &str) -> Vec<f64> {
        let values = after(body, name.as_bytes()).into_iter().map(|rest| {
            assert_eq!(rest[..3], [0x12, 9, 0x21]);
            f64::from_le_bytes(rest[3..11].try_into().unwrap())
        });
        values.collect()
    }

    #[test]
    fn a_request_is_a_span_of_the_trace_that_its_client_names() {
        let collector = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", collector.local_addr().unwrap());
        let service = Service::with(tempfile::tempdir().unwrap(), |config| {
            config.traces = Some(url);
        });
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let headers = [("content-type", "application/json"), ("traceparent", parent)];
        let body = json!({"inputs": "a film"}).to_string();
        service.send("POST", "/embed", &headers, body.as_bytes()).good();
        assert_eq!(service.get("/nothing").status, 404);
        // What is collected is sent at the end, if not before.
        let collecting = std::thread::spawn(move || received(&collector));
        drop(service.stop());
        let (request, body) = collecting.join().unwrap();
        assert_eq!(request, "post /v1/traces http/1.1");

        let trace = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
        let span = 0xb7ad_6b71_6920_3331_u64.to_be_bytes();
        assert_eq!((after(&body, &trace).len(), after(&body, &span).len()), (1, 1));
        for (part, times) in [
            ("POST /embed", 1),
            ("offshoot.request.id", 2),
            ("http.route", 1),
            ("http.request.method", 2),
            ("http.response.status_code", 2),
            ("service.name", 1),
        ] {
            assert_eq!(after(&body, part.as_bytes()).len(), times, "{part}");
        }
        let (waited, computed) =
            (doubles(&body, "offshoot.batch.wait"), doubles(&body, "offshoot.model.time"));
        assert_eq!((waited.len(), computed.len()), (1, 1));
        assert!(waited[0] >= 0.0 && computed[0] > 0.0, "{waited:?} {computed:?}");
    }

    #[test]
    fn a_collector_that_is_not_there_holds_nothing_up() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let service = Service::with(tempfile::tempdir().unwrap(), |config| {
            config.traces = Some(format!("http://{gone}"));
        });
        service.post("/embed", &json!({"inputs": "a film"})).good();
        drop(service.stop());
    }

    #[test]
    fn what_is_no_collector_is_refused_at_the_start() {
        for url in ["https://127.0.0.1:4318", "127.0.0.1:4318", "no url"] {
            let error = refused(url);
            assert!(error.contains(url) && error.contains("http://127.0.0.1:4318"), "{error}");
        }
    }
}
