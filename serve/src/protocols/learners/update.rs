//! Changes of a learner. Each is on disk before it is answered.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use offshoot::learner::{ExampleId, NewExample};
use serde::Deserialize;
use utoipa::ToSchema;

use super::answers::{Forgotten, Revision, TeachAnswer, Undone};
use super::input::{Input, Named, embed};
use super::{Id, Taught, open};
use crate::auth::Owner;
use crate::fault::{Answer, Fault};
use crate::openapi::Problems;
use crate::protocols::Body;
use crate::protocols::openai::check_count;
use crate::server::App;
use crate::server::layers::Deadline;

/// An input with its label.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Lesson {
    text: Option<String>,
    image: Option<String>,
    signal: Option<Vec<Vec<f32>>>,
    pub(super) label: Option<String>,
    weight: Option<f64>,
    source: Option<String>,
    /// What is kept for people to look at, of an image or a signal.
    shown: Option<String>,
}

/// The inputs of lessons, taken out of them.
pub(super) fn inputs(lessons: &mut [Lesson]) -> Answer<Vec<Input>> {
    lessons.iter_mut().enumerate().map(|(i, lesson)| lesson.input(i)).collect()
}

impl Lesson {
    fn input(&mut self, i: usize) -> Answer<Input> {
        match (self.text.take(), self.image.take(), self.signal.take()) {
            (Some(text), None, None) => Ok(Input::Text(text)),
            (None, Some(image), None) => Ok(Input::Named(Named::Image(image))),
            (None, None, Some(signal)) => Ok(Input::Named(Named::Signal(signal))),
            _ => Err(Fault::invalid(format!(
                "example {i} must have one of `text`, `image` and `signal`"
            ))),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = TeachRequest)]
pub(super) struct Teach {
    examples: Vec<Lesson>,
}

/// Teaches examples, which are on disk before the answer.
#[utoipa::path(post, path = "/v1/learners/{id}/teach", tag = "learners",
    params(("id" = String, Path, description = "The learner's id")),
    request_body = Teach,
    responses((status = 200, description = "They are learned", body = TeachAnswer), Problems))]
pub(super) async fn teach(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    Id(id): Id,
    Body(Teach { examples: mut lessons }): Body<Teach>,
) -> Answer<Json<TeachAnswer>> {
    check_count(&app, lessons.len())?;
    let taught = open::get(&app, &owner, &id).await?;
    let inputs = inputs(&mut lessons)?;
    let texts: Vec<Option<String>> =
        inputs.iter().map(|input| input.text().map(str::to_owned)).collect();
    let vectors = embed(&taught, inputs, deadline).await?;
    let rows = lessons.into_iter().zip(texts).zip(vectors.outer_iter());
    let examples: Vec<NewExample> = rows
        .map(|((lesson, text), vector)| NewExample {
            label: lesson.label,
            weight: lesson.weight.unwrap_or(1.0),
            source: lesson.source,
            text: text.or(lesson.shown),
            ..NewExample::unlabelled(vector.to_vec())
        })
        .collect();
    let work = move |taught: &Taught| {
        taught.learner.with_store(|store| {
            let ids = store.teach_many(&examples)?;
            let ids: Vec<i64> = ids.into_iter().map(|id| id.0).collect();
            Ok(Json(TeachAnswer { ids, revision: store.revision()? }))
        })
    };
    taught.blocking(work).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RelabelRequest)]
pub(super) struct Relabel {
    example: i64,
    label: Option<String>,
}

/// Gives an example another label, or none.
#[utoipa::path(post, path = "/v1/learners/{id}/relabel", tag = "learners",
    params(("id" = String, Path, description = "The learner's id")),
    request_body = Relabel,
    responses((status = 200, description = "It has it", body = Revision), Problems))]
pub(super) async fn relabel(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
    Body(Relabel { example, label }): Body<Relabel>,
) -> Answer<Json<Revision>> {
    let work = move |taught: &Taught| {
        taught.learner.relabel(ExampleId(example), label.as_deref())?;
        revision(taught)
    };
    open::get(&app, &owner, &id).await?.blocking(work).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WeighRequest)]
pub(super) struct Weigh {
    example: i64,
    weight: f64,
}

/// Gives an example another weight.
#[utoipa::path(post, path = "/v1/learners/{id}/weigh", tag = "learners",
    params(("id" = String, Path, description = "The learner's id")),
    request_body = Weigh,
    responses((status = 200, description = "It has it", body = Revision), Problems))]
pub(super) async fn weigh(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
    Body(Weigh { example, weight }): Body<Weigh>,
) -> Answer<Json<Revision>> {
    let work = move |taught: &Taught| {
        taught.learner.set_weight(ExampleId(example), weight)?;
        revision(taught)
    };
    open::get(&app, &owner, &id).await?.blocking(work).await
}

/// What is forgotten: one of the three.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ForgetRequest)]
pub(super) struct Forget {
    examples: Option<Vec<i64>>,
    label: Option<String>,
    source: Option<String>,
}

/// Forgets examples for good: some, those of a label, or those of a source.
#[utoipa::path(post, path = "/v1/learners/{id}/forget", tag = "learners",
    params(("id" = String, Path, description = "The learner's id")),
    request_body = Forget,
    responses((status = 200, description = "They are gone", body = Forgotten), Problems))]
pub(super) async fn forget(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
    Body(request): Body<Forget>,
) -> Answer<Json<Forgotten>> {
    let work = move |taught: &Taught| {
        taught.drop_caution();
        let learner = &taught.learner;
        let forgotten = match (request.examples, request.label, request.source) {
            (Some(ids), None, None) => {
                learner.forget(&ids.into_iter().map(ExampleId).collect::<Vec<_>>())?
            }
            (None, Some(label), None) => learner.forget_class(&label)?,
            (None, None, Some(source)) => learner.forget_source(&source)?,
            _ => return Err(Fault::invalid("give one of `examples`, `label` and `source`")),
        };
        Ok(Json(Forgotten { forgotten }))
    };
    open::get(&app, &owner, &id).await?.blocking(work).await
}

/// Takes the last update back.
#[utoipa::path(post, path = "/v1/learners/{id}/undo", tag = "learners",
    params(("id" = String, Path, description = "The learner's id")),
    responses((status = 200, description = "It is undone", body = Undone), Problems))]
pub(super) async fn undo(
    State(app): State<Arc<App>>,
    Extension(owner): Extension<Owner>,
    Id(id): Id,
) -> Answer<Json<Undone>> {
    let work = |taught: &Taught| {
        taught.drop_caution();
        let undone = taught.learner.undo()?;
        Ok(Json(Undone { undone: undone.action.name(), examples: undone.examples }))
    };
    open::get(&app, &owner, &id).await?.blocking(work).await
}

fn revision(taught: &Taught) -> Answer<Json<Revision>> {
    let revision = taught.learner.with_store(|store| store.revision())?;
    Ok(Json(Revision { revision }))
}
