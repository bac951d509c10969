//! `POST /v1/embed`: a stream of texts as NDJSON, answered line by line, of any length.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use futures_util::{StreamExt, stream};
use offshoot::{Prompt, Truncation};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use crate::batching::Row;
use crate::bundles::{Cut, Model};
use crate::fault::{Answer, Fault, Kind};
use crate::openapi::Problems;
use crate::server::App;

const TYPE: &str = "application/x-ndjson";
/// Lines that are embedded together.
const LINES: usize = 64;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Choice {
    model: Option<String>,
    dimensions: Option<usize>,
}

/// A line: a text, or a text with what the client knows it by.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Text(String),
    Named { id: Value, text: String },
}

struct Run {
    app: Arc<App>,
    model: Arc<Model>,
    cut: Cut,
    body: BodyDataStream,
    /// Bytes that are no whole line yet.
    rest: Vec<u8>,
    index: u64,
    ended: bool,
    /// Why the body broke off, until that is told.
    broken: Option<Fault>,
}

/// Embeddings of a stream of texts, line by line, of any length.
#[utoipa::path(post, path = "/v1/embed", tag = "bulk", params(Choice),
    request_body(content = String, content_type = TYPE, description =
        "Lines of JSON: a text, or `{\"id\": …, \"text\": …}`"),
    responses((status = 200, description = "A line for each: `index`, `id`, `embedding` or `error`; one \
                more with `error` where the body broke off",
               body = String, content_type = TYPE), Problems))]
pub(super) async fn embed(
    State(app): State<Arc<App>>,
    query: Result<Query<Choice>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Answer<impl IntoResponse> {
    let Query(choice) = query.map_err(|error| Fault::invalid(error.to_string()))?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with(TYPE)) {
        return Err(Fault::new(Kind::MediaType, format!("send lines of JSON as {TYPE}")));
    }
    let model = app.bundles.get(choice.model.as_deref())?;
    let cut = Cut {
        dimensions: model.dimensions(choice.dimensions)?,
        normalize: model.manifest.normalized,
    };
    let body = body.into_data_stream();
    let run = Run { app, model, cut, body, rest: Vec::new(), index: 0, ended: false, broken: None };
    let answers = stream::unfold(run, |mut run| async move {
        let lines = run.lines().await?;
        let part = run.answer(lines).await;
        Some((Ok::<_, std::io::Error>(part), run))
    });
    Ok(([(header::CONTENT_TYPE, TYPE)], Body::from_stream(answers)))
}

impl Run {
    /// The next lines, or none at the end. Reads no more than it needs.
    async fn lines(&mut self) -> Option<Vec<Vec<u8>>> {
        let mut lines = Vec::new();
        loop {
            while lines.len() < LINES
                && let Some(end) = self.rest.iter().position(|&byte| byte == b'\n')
            {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                lines.push(line);
            }
            if lines.len() == LINES || self.ended {
                break;
            }
            match self.body.next().await {
                Some(Ok(bytes)) if self.rest.len() <= self.app.config.max_bytes => {
                    self.rest.extend(&bytes);
                }
                // What arrived of the last line is not answered: it may be half of it.
                Some(Err(error)) => {
                    self.ended = true;
                    self.rest.clear();
                    self.broken = Some(super::body::broken(&error));
                }
                // The end, or a line without end.
                _ => {
                    self.ended = true;
                    self.rest.push(b'\n');
                }
            }
        }
        lines.retain(|line| !line.trim_ascii().is_empty());
        (!lines.is_empty() || !self.ended || self.broken.is_some()).then_some(lines)
    }

    async fn answer(&mut self, lines: Vec<Vec<u8>>) -> Bytes {
        let (mut texts, mut heads) = (Vec::new(), Vec::new());
        for line in lines {
            let mut head = json!({"index": self.index});
            self.index += 1;
            match serde_json::from_slice(&line) {
                Ok(Line::Text(text)) => texts.push(text),
                Ok(Line::Named { id, text }) => {
                    head["id"] = id;
                    texts.push(text);
                }
                Err(error) => head["error"] = json!(format!("no text: {error}")),
            }
            heads.push(head);
        }
        let embedded = self.embed(texts).await;
        let mut vectors = embedded.as_ref().map(|all| all.iter()).ok();
        let mut out = Vec::new();
        for mut head in heads {
            if head.get("error").is_none() {
                match (vectors.as_mut().and_then(Iterator::next), &embedded) {
                    (Some(vector), _) => head["embedding"] = json!(vector),
                    (None, Err(fault)) => head["error"] = json!(fault.message),
                    (None, Ok(_)) => {}
                }
            }
            out.extend(head.to_string().into_bytes());
            out.push(b'\n');
        }
        if self.ended
            && let Some(fault) = self.broken.take()
        {
            let line = json!({"index": self.index, "error": fault.message});
            out.extend(line.to_string().into_bytes());
            out.push(b'\n');
        }
        out.into()
    }

    /// Waits while the queue is full: whoever streams has time.
    async fn embed(&mut self, texts: Vec<String>) -> Answer<Vec<Vec<f32>>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let input = super::openai::Input::Texts(texts);
        let rows =
            super::openai::rows(&self.app, &self.model, input, Prompt::Default, Truncation::Cut);
        let rows: Vec<Row> = rows.await?.into_iter().map(Row::Tokens).collect();
        loop {
            let deadline = Instant::now() + self.app.config.timeout;
            match self.model.embed(rows.clone(), deadline, self.cut).await {
                Err(Fault { kind: Kind::Overloaded(_), .. }) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                done => return done,
            }
        }
    }
}
