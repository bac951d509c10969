//! Pages of other origins that may speak to the service: none, or those of a list.

use std::time::Duration;

use axum::http::uri::{Scheme, Uri};
use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::error::{Error, Result};
use crate::protocols::learners::PRIVACY;

/// How long a browser may remember what it was allowed. Chromium keeps no more than two hours.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Origins as browsers write them, RFC 6454 section 6.2.
pub(crate) fn origins(list: &[String]) -> Result<Vec<HeaderValue>> {
    list.iter().map(|text| origin(text)).collect()
}

fn origin(text: &str) -> Result<HeaderValue> {
    let bad = |reason: &str| {
        Error::Argument(format!(
            "{text:?} is no origin that pages can be allowed from: {reason}; write it as browsers \
             do, for example https://app.example.org or http://localhost:5173"
        ))
    };
    if text.contains('*') {
        return Err(bad("every page that a person opens could be one; name each origin"));
    }
    let uri: Uri = text.parse().map_err(|_| bad("it is no scheme, host and port"))?;
    let port = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => 80,
        Some(scheme) if *scheme == Scheme::HTTPS => 443,
        _ => return Err(bad("it begins with neither http:// nor https://")),
    };
    let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
    if authority.as_str().contains('@')
        || text != format!("{}://{authority}", uri.scheme_str().unwrap_or_default())
    {
        return Err(bad("it has more than scheme, host and port"));
    }
    if text.chars().any(|c| c.is_ascii_uppercase()) {
        return Err(bad("browsers write it in small letters"));
    }
    if authority.port_u16() == Some(port) {
        return Err(bad("browsers leave out the port that its scheme has by itself"));
    }
    HeaderValue::from_str(text).map_err(|_| bad("it has signs that no header can hold"))
}

/// Answers browsers that ask beforehand, and lets the listed origins read answers. Keys come
/// in headers, which pages set themselves, so cookies and the like stay out.
pub(super) fn layer(origins: Vec<HeaderValue>) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .allow_private_network(true)
        .expose_headers(
            ["x-request-id"]
                .into_iter()
                .chain(PRIVACY)
                .map(HeaderName::from_static)
                .chain([header::RETRY_AFTER, header::CONTENT_DISPOSITION])
                .collect::<Vec<_>>(),
        )
        .max_age(REMEMBERED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_taken_as_browsers_write_them() {
        for text in ["https://app.example.org", "http://localhost:5173", "http://[::1]:3000"] {
            assert_eq!(origin(text).unwrap(), text);
        }
        for (text, reason) in [
            ("*", "every page"),
            ("null", "neither"),
            ("app.example.org", "neither"),
            ("ftp://example.org", "neither"),
            ("https://", "no scheme, host"),
            ("https://example.org/", "more than"),
            ("https://example.org/app", "more than"),
            ("https://*.example.org", "every page"),
            ("https://a@example.org", "more than"),
            ("https://Example.org", "small letters"),
            ("https://example.org:443", "leave out the port"),
            ("http://example.org:80", "leave out the port"),
        ] {
            let told = origin(text).unwrap_err().to_string();
            assert!(told.contains(text) && told.contains(reason), "{told}");
        }
    }
}
