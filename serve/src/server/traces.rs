//! Traces of requests for a collector of OpenTelemetry, by OTLP over HTTP: a span for each, in
//! the names of its semantic conventions for HTTP servers.
//!
//! The variables of OpenTelemetry's specification hold (`OTEL_SERVICE_NAME`,
//! `OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`…). A collector that cannot be reached
//! loses spans and holds nothing up.

use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, Uri};
use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span, SpanKind, Status, Tracer, TracerProvider};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;

use super::layers::Told;
use crate::error::{Error, Result};

const NAME: &str = "offshoot";
/// How long a collector may take for some spans.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where spans go.
#[derive(Debug)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Sends spans to the collector at this address. To be called on a runtime, which must
    /// outlive [`Traces::end`].
    pub(super) fn to(collector: &str) -> Result<Self> {
        let bad = |reason: &dyn std::fmt::Display| {
            Error::Argument(format!(
                "{collector:?} is no collector of traces: {reason}; give the address where it \
                 takes OTLP over HTTP, for example http://127.0.0.1:4318"
            ))
        };
        let uri: Uri = collector.parse().map_err(|error| bad(&error))?;
        if uri.scheme_str() != Some("http") {
            return Err(bad(&"it does not begin with http://, which is all that is spoken"));
        }
        let client = OnRuntime {
            client: HyperClient::with_default_connector(PATIENCE, None),
            runtime: Handle::current(),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", collector.trim_end_matches('/')))
            .with_timeout(PATIENCE)
            .build()
            .map_err(|error| bad(&error))?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(NAME);
        }
        let resource = resource
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        let tracer = provider.tracer(NAME);
        Ok(Self { provider, tracer })
    }

    /// A request was answered. It is part of the trace that its headers name, if they do.
    pub(super) fn request(&self, headers: &HeaderMap, started: SystemTime, told: &Told<'_>) {
        let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
        let mut attributes = vec![
            KeyValue::new("http.request.method", told.method.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(told.status)),
            KeyValue::new("offshoot.request.id", told.id.to_owned()),
        ];
        let name = match told.route {
            Some(route) => {
                attributes.push(KeyValue::new("http.route", route.to_owned()));
                format!("{} {route}", told.method)
            }
            None => told.method.to_owned(),
        };
        if let Some(spent) = told.spent {
            let seconds = |name, time: Duration| KeyValue::new(name, time.as_secs_f64());
            attributes.push(seconds("offshoot.batch.wait", spent.waited));
            attributes.push(seconds("offshoot.model.time", spent.computed));
        }
        let mut span = self
            .tracer
            .span_builder(name)
            .with_kind(SpanKind::Server)
            .with_start_time(started)
            .with_attributes(attributes)
            .start_with_context(&self.tracer, &parent);
        if told.status >= 500 {
            span.set_status(Status::error(""));
        }
        span.end();
    }

    /// Sends what is not sent yet. Blocks.
    pub(super) fn end(&self) {
        let _ = self.provider.shutdown();
    }
}

/// Sends on the service's own threads what the thread that collects spans gives.
#[derive(Debug)]
struct OnRuntime {
    client: HyperClient,
    runtime: Handle,
}

#[async_trait::async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(
        &self,
        request: Request<Bytes>,
    ) -> std::result::Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}
