//! The teaching page: plain modules, inside the program, from which nothing is sent anywhere.

use std::sync::Arc;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::fault::{Answer, Fault, Kind};
use crate::openapi::{Problems, TeiErrors};
use crate::protocols::tei;
use crate::server::App;

/// Nothing from elsewhere, nothing inline, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' \
                      data: blob:; media-src 'self' blob:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// Name, type and content of every file.
const FILES: [(&str, &str, &str); 6] = [
    ("/page/style.css", "text/css", include_str!("../web/style.css")),
    ("/page/main.js", "text/javascript", include_str!("../web/main.js")),
    ("/page/service.js", "text/javascript", include_str!("../web/service.js")),
    ("/page/inputs.js", "text/javascript", include_str!("../web/inputs.js")),
    ("/page/map.js", "text/javascript", include_str!("../web/map.js")),
    ("/page/icon.svg", "image/svg+xml", include_str!("../web/icon.svg")),
];
const INDEX: &str = include_str!("../web/index.html");

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(index, tei::either)).routes(routes!(part))
}

/// The teaching page.
#[utoipa::path(get, path = "/", tag = "page",
    responses((status = 200, description = "HTML", body = String, content_type = "text/html"),
              TeiErrors))]
async fn index() -> impl IntoResponse {
    file("text/html; charset=utf-8", INDEX)
}

/// A file of the teaching page.
#[utoipa::path(get, path = "/page/{file}", tag = "page",
    params(("file" = String, Path, description = "The file's name")),
    responses((status = 200, description = "The file", content(
        (String = "text/css"), (String = "text/javascript"), (String = "image/svg+xml"))), Problems))]
async fn part(name: Result<Path<String>, PathRejection>) -> Answer<impl IntoResponse> {
    let Path(name) = name.map_err(|error| Fault::invalid(error.body_text()))?;
    let found = FILES.iter().find(|(path, _, _)| path.strip_prefix("/page/") == Some(&*name));
    let &(_, kind, text) =
        found.ok_or_else(|| Fault::new(Kind::NotFound, "the page has no such file"))?;
    Ok(file(kind, text))
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_only_files_that_it_brings() {
        let all = FILES.iter().map(|(_, _, text)| *text).chain([INDEX]);
        for text in all {
            for outside in ["http://", "https://", "//cdn", "@import"] {
                let found = text.replace("http://www.w3.org/", "").contains(outside);
                assert!(!found, "{outside}");
            }
        }
        for part in INDEX.split('"').filter(|part| part.starts_with("/page/")) {
            assert!(FILES.iter().any(|(path, _, _)| *path == part), "{part}");
        }
    }
}
