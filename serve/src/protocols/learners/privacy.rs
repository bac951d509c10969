//! Noise on what leaves a learner, so that next to nothing is told of any one example.

use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::IntoResponse;
use offshoot::learner::{DEFAULT_DELTA, UNIT_CLIP, privatize};
use offshoot_adapters::statistics::{Privacy, Statistics};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::fault::{Answer, Fault};

/// What a release told of one example, at most: ε, δ, ρ of zero-concentrated differential
/// privacy, and the standard deviation of the noise where an example counts 1.
pub(crate) const HEADERS: [&str; 4] =
    ["privacy-epsilon", "privacy-delta", "privacy-rho", "privacy-deviation"];

/// How private a release is to be.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Noise is added so that no outcome is more than e^ε times as likely with any one example as
    /// without it; smaller is more private. Each answer costs again.
    pub(super) epsilon: Option<f64>,
    /// Probability with which that may fail to hold; 1e-6 where it is left out.
    pub(super) delta: Option<f64>,
}

impl Wanted {
    /// Sums of no examples, to which those of learners are added.
    pub(super) fn empty(self, dimensions: usize) -> Answer<Statistics> {
        Ok(match self.epsilon {
            Some(_) => Statistics::clipped(dimensions, UNIT_CLIP)?,
            None => Statistics::new(dimensions)?,
        })
    }

    /// The sums with the noise that is wanted, and what they tell then.
    pub(super) fn spend(self, sums: Statistics) -> Answer<(Statistics, Option<Privacy>)> {
        match (self.epsilon, self.delta) {
            (None, None) => Ok((sums, None)),
            (None, Some(_)) => Err(Fault::invalid("`delta` belongs to `epsilon`; give that too")),
            (Some(epsilon), delta) => {
                let (noisy, told) = privatize(&sums, epsilon, delta.unwrap_or(DEFAULT_DELTA))?;
                Ok((noisy, Some(told)))
            }
        }
    }
}

/// A file, and what it tells where noise was added.
pub(super) fn file(
    name: String,
    told: Option<Privacy>,
    bytes: impl IntoResponse,
) -> impl IntoResponse {
    let mut headers = HeaderMap::new();
    let disposition = format!("attachment; filename=\"{name}\"");
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(HeaderValue::from_str(&disposition).map(|value| (CONTENT_DISPOSITION, value)));
    if let Some(Privacy { epsilon, delta, rho, deviation, .. }) = told {
        for (name, value) in HEADERS.into_iter().zip([epsilon, delta, rho, deviation]) {
            let value = HeaderValue::from_str(&value.to_string());
            headers.extend(value.map(|value| (HeaderName::from_static(name), value)));
        }
    }
    (headers, bytes)
}
