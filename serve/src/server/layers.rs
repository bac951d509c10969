//! What surrounds every handler: who may, how long, and in which form errors are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use crate::auth::Owner;
use crate::fault::{Fault, Kind};
use crate::timing::{self, Spent};

/// When the request must be answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(pub(crate) Instant);

/// What needs no key: nothing of anyone is in it.
const OPEN: [&str; 4] = ["/", "/health", "/ready", "/favicon.ico"];

/// Lets a request in, or not, and gives it its deadline.
pub(super) async fn guard(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Err(fault) = origin(&app, &request) {
        return fault.into_response();
    }
    let path = request.uri().path();
    let open =
        request.method() == Method::GET && (OPEN.contains(&path) || path.starts_with("/page/"));
    let owner = match &app.keys {
        None => Owner("local".into()),
        Some(_) if open => Owner("nobody".into()),
        Some(file) => match key(request.headers()).and_then(|key| file.now().owner(key)) {
            Some(owner) => owner,
            None => {
                return Fault::new(
                    Kind::Unauthorized,
                    "no key, or one that is not known here; send `Authorization: Bearer KEY`",
                )
                .into_response();
            }
        },
    };
    let mut packed = request.headers().get_all(header::CONTENT_ENCODING).into_iter();
    let other = |kind: &HeaderValue| kind != "gzip" && kind != "identity";
    if packed.next().is_some_and(other) || packed.next().is_some() {
        return Fault::new(
            Kind::MediaType,
            "the body is packed in a way that is not read here; send it as it is, or by gzip",
        )
        .into_response();
    }
    let deadline = Instant::now() + app.config.timeout;
    request.extensions_mut().insert(owner);
    request.extensions_mut().insert(Deadline(deadline));
    match tokio::time::timeout_at(deadline.into(), next.run(request)).await {
        Ok(response) => response,
        Err(_) => Fault::new(Kind::Deadline, "the request took too long").into_response(),
    }
}

/// Where nobody needs a key, a page of another site must not speak through a person's browser:
/// neither by its own name (`Origin`), unless that is allowed, nor by one that it lets point here (`Host`).
fn origin(app: &App, request: &Request) -> Result<(), Fault> {
    let headers = request.headers();
    let refuse =
        |what| Err(Fault::new(Kind::Forbidden, format!("requests {what} are not answered")));
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // HTTP/2 names the host in the address, RFC 9113 section 8.3.1.
    let host = request.uri().authority().map(Authority::as_str).or_else(|| text(header::HOST));
    if let Some(origin) = headers.get(header::ORIGIN)
        && !app.origins.contains(origin)
    {
        let own = origin.to_str().ok().and_then(|text| text.split_once("://"));
        let own = own.map(|(_, rest)| rest);
        if own.is_none() || own != host {
            return refuse("from pages of other sites");
        }
    }
    if app.keys.is_none()
        && let Some(host) = host
    {
        let name = host
            .rsplit_once(':')
            .map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let local = name == "localhost"
            || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if !local {
            return refuse("for another host");
        }
    }
    Ok(())
}

fn key(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    bearer.or_else(|| text("x-api-key"))
}

/// A request and how it was answered.
pub(super) struct Told<'a> {
    pub(super) id: &'a str,
    pub(super) method: &'a str,
    /// The pattern, never what the client wrote; none where there is nothing.
    pub(super) route: Option<&'a str>,
    pub(super) status: u16,
    pub(super) spent: Option<Spent>,
}

impl Told<'_> {
    /// As a line of JSON.
    fn line(&self, seconds: f64) -> serde_json::Value {
        let mut line = serde_json::json!({"id": self.id, "method": self.method,
                                          "route": self.route.unwrap_or("none"),
                                          "status": self.status, "seconds": seconds});
        if let Some(spent) = self.spent {
            line["waited"] = spent.waited.as_secs_f64().into();
            line["computed"] = spent.computed.as_secs_f64().into();
        }
        line
    }
}

/// Counts, names and logs the request, and gives errors the form of their protocol.
pub(super) async fn outermost(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let id = request_id(request.headers());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    #[cfg(feature = "opentelemetry")]
    let traced = app.traces.as_ref().map(|traces| {
        let now = std::time::SystemTime::now();
        (traces, request.headers().clone(), now)
    });
    let (mut response, spent) = timing::timed(next.run(request)).await;
    if let Some(fault) = response.extensions_mut().remove::<Fault>() {
        response = fault.render(&path);
    } else if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let allow = response.headers_mut().remove(header::ALLOW);
        response = Fault::new(Kind::Method, "this route is not used by that method").render(&path);
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    let seconds = start.elapsed().as_secs_f64();
    let (route, method) = (route.as_deref(), method.as_str());
    let status = response.status().as_u16();
    let told = Told { id: &id, method, route, status, spent };
    app.metrics.request(told.route.unwrap_or("none"), told.method, told.status, seconds);
    #[cfg(feature = "opentelemetry")]
    if let Some((traces, headers, started)) = traced {
        traces.request(&headers, started, &told);
    }
    if app.config.log {
        eprintln!("{}", told.line(seconds));
    }
    response
}

/// The client's own, where it is one, or a new one.
fn request_id(headers: &HeaderMap) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let fit = |id: &&str| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    match headers.get("x-request-id").and_then(|value| value.to_str().ok()).filter(fit) {
        Some(id) => id.to_owned(),
        None => format!("{:x}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)),
    }
}
