//! What a bundle keeps of the run that made it.

use std::collections::BTreeMap;

use offshoot::bundle::Pretraining;

use super::init;
use super::options::PretrainOptions;
use super::record::{curve, figures};
use super::run_folder::RunFolder;
use crate::data::Dataset;
use crate::encoders::Architecture;
use crate::error::Result;

/// Points of the curve that a bundle keeps.
const CURVE_POINTS: usize = 100;

/// How a run went.
#[derive(Debug)]
pub(super) struct Course<'a> {
    pub(super) folder: &'a RunFolder,
    /// Build of ONNX Runtime.
    pub(super) engine: &'a str,
    /// Examples of a batch.
    pub(super) batch: usize,
    /// Steps that were planned, steps that were taken, and those whose weights are kept.
    pub(super) planned: u64,
    pub(super) taken: u64,
    pub(super) kept: u64,
}

impl Course<'_> {
    /// The record of a run on this data.
    pub(super) fn recorded(
        &self,
        options: &PretrainOptions,
        data: &dyn Dataset,
        encoder: &Architecture,
    ) -> Result<Pretraining> {
        let objective: Vec<String> = options
            .objectives
            .iter()
            .map(|weighted| match weighted.weight {
                1.0 => weighted.objective.name().to_owned(),
                weight => format!("{weight} {}", weighted.objective.name()),
            })
            .collect();
        Ok(Pretraining {
            objective: objective.join(" + "),
            data_digest: data.digest().to_owned(),
            examples: data.len() as u64,
            seed: options.seed,
            steps: self.kept,
            versions: BTreeMap::from([
                ("offshoot".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
                ("onnxruntime".to_owned(), self.engine.to_owned()),
            ]),
            curve: curve(self.folder.path(), self.taken, CURVE_POINTS)?,
            figures: figures(self.folder.path(), self.kept)?,
            options: self.settings(options, encoder)?,
        })
    }

    fn settings(
        &self,
        options: &PretrainOptions,
        encoder: &Architecture,
    ) -> Result<BTreeMap<String, String>> {
        let mut settings = BTreeMap::from([
            ("batch".to_owned(), self.batch.to_string()),
            ("accumulate".to_owned(), options.accumulate.to_string()),
            ("optimizer".to_owned(), options.optimizer.name().to_owned()),
            ("learning_rate".to_owned(), options.learning_rate.to_string()),
            ("weight_decay".to_owned(), options.weight_decay.to_string()),
            ("warm_up".to_owned(), options.warm_up.to_string()),
        ]);
        settings.extend(init::recorded(encoder)?);
        if let Some(preset) = options.augmentation.preset {
            settings.insert("augmentation".into(), preset.name().into());
        }
        for (name, value) in &options.augmentation.values {
            settings.insert(format!("augmentation.{name}"), value.to_string());
        }
        if let Some(patience) = options.patience {
            settings.insert("patience".into(), patience.to_string());
            settings.insert("steps_planned".into(), self.planned.to_string());
            settings.insert("steps_taken".into(), self.taken.to_string());
        }
        Ok(settings)
    }
}
