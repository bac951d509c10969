//! The loop.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ndarray::{Array2, Axis, concatenate};
use offshoot::bundle::Pretraining;
use offshoot::{Engine, Trainer};
use offshoot_export::archive::Written;
use offshoot_export::graph::Tensor;
use offshoot_export::training::AVERAGE;

use super::budget::settle_steps;
use super::finish::Finished;
use super::loader::{Loader, Maker};
use super::options::{PretrainOptions, Start};
use super::program::{self, Settings};
use super::quality::Quality;
use super::record::{Recorder, StepRecord, curve};
use super::run_folder::{Description, RunFolder};
use super::schedule::Schedule;
use super::setup::{self, Setup};
use super::source::Source;
use super::{fits, init, step};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::objectives::Batch;

/// Examples of one run of the encoder for the figures of quality.
const QUALITY_BATCH: usize = 128;
/// Examples below which they say nothing of a collapse: few always lie close together.
const FEWEST: usize = 6;
/// Times that quality is told in a run, unless asked otherwise.
const QUALITY_TIMES: u64 = 20;
/// Least number of steps in between.
const LEAST_PAUSE: u64 = 20;
/// Examples that the bundle is compared on.
const COMPARED: usize = 32;
/// Points of the curve that a bundle keeps.
const CURVE_POINTS: usize = 100;
/// What a run tells as it goes.
#[derive(Debug, Clone)]
pub enum Event {
    /// The encoder and the number of steps are settled.
    Begins {
        /// Name of the encoder's family.
        family: &'static str,
        /// Its number of weights, those of heads left out.
        parameters: u64,
        /// Number of steps of the run.
        steps: u64,
        /// Steps that an earlier run had done.
        done: u64,
        /// Examples to learn from.
        examples: usize,
    },
    /// A step is done.
    Step {
        /// Its record.
        record: StepRecord,
        /// Examples a second of this step, the wait for its batch included.
        examples_per_second: f64,
    },
    /// Embeddings of held-out examples have lost their meaning.
    Collapse {
        /// The step.
        step: u64,
        /// Why.
        reason: String,
    },
}

/// A finished run.
#[derive(Debug)]
pub struct Pretrained {
    /// The bundle.
    pub written: Written,
    /// Number of steps.
    pub steps: u64,
    /// The last figures of quality.
    pub quality: Option<Quality>,
    /// Examples that could not be read, counted each time that one was wanted.
    pub unreadable: u64,
}

/// Pretrains an encoder on a data set and writes it. A run that was interrupted goes on where
/// its last checkpoint left it when it is called with the same options and data.
///
/// # Errors
/// [`Error::Pretrain`] when options, data and objectives do not fit, or the folder holds
/// another run; [`Error::Interrupted`] after a checkpoint; those of the trainer, among them a
/// loss that is not finite, and of files.
pub fn pretrain(
    data: &Arc<dyn Dataset>,
    options: &PretrainOptions,
    tell: &mut dyn FnMut(Event),
) -> Result<Pretrained> {
    fits::run(data.as_ref(), options)?;
    let mut folder = RunFolder::at(options.run_folder());
    if folder.exists() {
        folder.open()?;
    }
    let earlier = folder.earlier()?;
    let setup = match &earlier {
        Some(earlier) => {
            fits::earlier(earlier, options, data.as_ref(), &folder)?;
            match &options.start {
                Start::Init { bundle } => {
                    let setup = init::read(bundle, data.kind(), options)?;
                    let digest = setup.origin.as_ref().map(|origin| origin.bundle.digest());
                    if earlier.init.as_deref() != digest {
                        let what = "that began with another encoder";
                        return Err(fits::other_run(&folder, what));
                    }
                    setup
                }
                Start::Fresh { .. } => {
                    let json = std::fs::read(folder.tokenizer()).ok();
                    setup::resumed(earlier.encoder.clone(), json, &folder.tokenizer())?
                }
            }
        }
        None => setup::settle(data.as_ref(), options)?,
    };
    fits::objectives(&setup, options, data.as_ref())?;
    // Nothing is written before here, for a run that is refused.
    folder.open()?;
    if earlier.is_none() {
        folder.forget()?;
        if let Some(tokenizer) = &setup.tokenizer {
            folder.write_tokenizer(&tokenizer.json)?;
        }
    }
    Run::new(data, options, folder, setup, earlier)?.finished(tell)
}

struct Run<'a> {
    options: &'a PretrainOptions,
    folder: RunFolder,
    setup: Setup,
    data: &'a Arc<dyn Dataset>,
    trainer: Trainer,
    /// Build of ONNX Runtime.
    engine: String,
    maker: Arc<Maker>,
    held_out: Source,
    schedule: Schedule,
    names: Vec<String>,
    parameters: u64,
}

impl<'a> Run<'a> {
    fn new(
        data: &'a Arc<dyn Dataset>,
        options: &'a PretrainOptions,
        folder: RunFolder,
        setup: Setup,
        earlier: Option<Description>,
    ) -> Result<Self> {
        let (maker, held_out) = Maker::new(data, options, &setup)?;
        let maker = Arc::new(maker);

        let settings = Settings {
            optimizer: options.optimizer,
            weight_decay: options.weight_decay,
            max_gradient_norm: Some(1.0),
            average_decay: options.decay(),
            accumulates: options.accumulate > 1,
            recompute: options.recompute.clone(),
        };
        let weights = setup.weights(options.seed);
        let builder = program::build(&setup.encoder, &options.objectives, weights, &settings)?;
        let program = builder.build()?;
        let engine = Engine::load()?;
        let version = engine.build_info().to_owned();
        let mut trainer = Trainer::new(&program, &options.trainer.clone().engine(engine))?;
        let read = program.procedure(program::EMBED).map(|p| p.state_inputs.clone());
        let names: Vec<String> =
            read.unwrap_or_default().into_iter().map(|(_, state)| state).collect();
        let sizes = trainer.describe().filter(|(name, ..)| names.iter().any(|n| n == name));
        let parameters = sizes.map(|(.., dims)| dims.iter().product::<usize>() as u64).sum();
        drop(program);

        let steps = match &earlier {
            Some(earlier) => {
                trainer.restore(folder.checkpoint())?;
                earlier.steps
            }
            None => settle_steps(options, &maker, &mut trainer, &folder)?,
        };
        let warm_up = (steps as f64 * f64::from(options.warm_up)).round() as u64;
        let schedule = Schedule { steps, warm_up, peak: options.learning_rate };
        if earlier.is_none() {
            folder.describe(&Description::new(
                options.fingerprint(),
                data.digest().to_owned(),
                setup.encoder.clone(),
                steps,
                setup.origin.as_ref().map(|origin| origin.bundle.digest().to_owned()),
            ))?;
        }
        Ok(Self {
            options,
            folder,
            setup,
            data,
            trainer,
            engine: version,
            maker,
            held_out,
            schedule,
            names,
            parameters,
        })
    }

    fn finished(mut self, tell: &mut dyn FnMut(Event)) -> Result<Pretrained> {
        let done = self.trainer.steps();
        let steps = self.schedule.steps;
        tell(Event::Begins {
            family: self.setup.encoder.name(),
            parameters: self.parameters,
            steps,
            done,
            examples: self.maker.source.len(),
        });
        let mut recorder = Recorder::open(&self.folder, done)?;
        let every = self.options.quality_every.unwrap_or(usual_pause(steps)).max(1);
        let mut loader =
            Loader::start(&self.maker, done * self.options.accumulate, self.options.loaders)?;
        let mut saved = Instant::now();
        let mut quality = None;
        for step in done..steps {
            if self.options.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                recorder.sync()?;
                self.save()?;
                return Err(Error::Interrupted);
            }
            let before = Instant::now();
            let mut record = self.step(step, &mut loader)?;
            let seconds = before.elapsed().as_secs_f64().max(1e-9);
            if (step + 1) % every == 0 || step + 1 == steps {
                let found = self.quality()?;
                quality = Some(found);
                record.quality = quality;
                let told = self.held_out.len() >= FEWEST;
                if let Some(reason) = found.collapse().filter(|_| told) {
                    tell(Event::Collapse { step: step + 1, reason });
                }
            }
            recorder.add(&record)?;
            tell(Event::Step { record, examples_per_second: self.examples() / seconds });
            if saved.elapsed() >= Duration::from_secs(self.options.checkpoint_seconds)
                && step + 1 < steps
            {
                recorder.sync()?;
                self.save()?;
                saved = Instant::now();
            }
        }
        drop(loader);
        recorder.sync()?;
        self.save()?;
        let written = self.finish()?;
        let unreadable = self.maker.unreadable.load(Ordering::Relaxed);
        Ok(Pretrained { written, steps, quality, unreadable })
    }

    /// Examples of a step.
    fn examples(&self) -> f64 {
        self.maker.batch as f64 * self.options.accumulate as f64
    }

    fn step(&mut self, step: u64, loader: &mut Loader) -> Result<StepRecord> {
        let rate = self.schedule.rate(step);
        let names = self.options.objectives.iter().map(|o| o.objective.name().to_owned());
        let names: Vec<String> = if names.len() > 1 { names.collect() } else { Vec::new() };
        let batches = self.options.accumulate;
        let taken = step::take(&mut self.trainer, loader, batches, rate, &names)?;
        let seen = (step + 1) as f64 * self.examples();
        Ok(StepRecord {
            step: step + 1,
            epoch: seen / self.maker.source.len().max(1) as f64,
            loss: taken.loss,
            losses: taken.losses,
            gradient_norm: taken.gradient_norm,
            learning_rate: rate,
            quality: None,
        })
    }

    fn save(&self) -> Result<()> {
        Ok(self.trainer.save(self.folder.checkpoint(), &[])?)
    }

    /// Embeddings of held-out examples, with their labels.
    fn embed(&mut self, most: usize) -> Result<(Batch, Array2<f32>)> {
        let count = self.held_out.len().min(most);
        let indices: Vec<usize> = (0..count).collect();
        let (batch, _) = self.held_out.batch(&indices)?;
        let mut parts = Vec::new();
        for part in batch.parts(QUALITY_BATCH) {
            let feed = self.maker.preparation.plain("", &part)?;
            let outputs = self.trainer.evaluate(&step::inputs(&feed))?;
            let found = outputs.get("embedding")?.array::<f32>()?.to_owned();
            let found = found
                .into_dimensionality()
                .map_err(|error| Error::Pretrain(format!("embeddings are not a table: {error}")))?;
            parts.push(found);
        }
        let views: Vec<_> = parts.iter().map(|part: &Array2<f32>| part.view()).collect();
        let all = concatenate(Axis(0), &views)
            .map_err(|error| Error::Pretrain(format!("embeddings do not fit together: {error}")))?;
        Ok((batch, all))
    }

    fn quality(&mut self) -> Result<Quality> {
        let (batch, embeddings) = self.embed(self.options.held_out)?;
        Ok(Quality::of(embeddings.view(), &batch.labels))
    }

    /// Writes the bundle.
    fn finish(&mut self) -> Result<Written> {
        let (batch, expected) = self.embed(COMPARED)?;
        let mut weights = BTreeMap::new();
        for state in &self.names {
            let value = self.trainer.state(state)?;
            let values: Vec<f32> = value.array::<f32>()?.iter().copied().collect();
            let name = state.strip_suffix(AVERAGE).unwrap_or(state);
            weights.insert(name.to_owned(), Tensor::from_f32(value.dims(), &values));
        }
        let output = &self.options.output;
        let stem = |path: &Path| {
            path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        };
        let name = self.options.name.clone().unwrap_or_else(|| stem(output));
        let objective: Vec<String> = self
            .options
            .objectives
            .iter()
            .map(|weighted| match weighted.weight {
                1.0 => weighted.objective.name().to_owned(),
                weight => format!("{weight} {}", weighted.objective.name()),
            })
            .collect();
        let mut settings = BTreeMap::from([
            ("batch".to_owned(), self.maker.batch.to_string()),
            ("accumulate".to_owned(), self.options.accumulate.to_string()),
            ("optimizer".to_owned(), self.options.optimizer.name().to_owned()),
            ("learning_rate".to_owned(), self.options.learning_rate.to_string()),
            ("weight_decay".to_owned(), self.options.weight_decay.to_string()),
            ("warm_up".to_owned(), self.options.warm_up.to_string()),
        ]);
        settings.extend(init::recorded(&self.setup.encoder)?);
        if let Some(preset) = self.options.augmentation.preset {
            settings.insert("augmentation".into(), preset.name().into());
        }
        for (name, value) in &self.options.augmentation.values {
            settings.insert(format!("augmentation.{name}"), value.to_string());
        }
        let pretraining = Pretraining {
            objective: objective.join(" + "),
            data_digest: self.data.digest().to_owned(),
            examples: self.data.len() as u64,
            seed: self.options.seed,
            steps: self.schedule.steps,
            versions: BTreeMap::from([
                ("offshoot".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
                ("onnxruntime".to_owned(), self.engine.clone()),
            ]),
            curve: curve(self.folder.path(), self.schedule.steps, CURVE_POINTS)?,
            options: settings,
        };
        let finished = Finished {
            encoder: &self.setup.encoder,
            weights,
            tokenizer: self.setup.tokenizer.as_deref(),
            source: name.clone(),
            name,
            pretraining,
            origin: self.setup.origin.as_deref(),
        };
        finished.write(output, &batch, &expected)
    }
}

/// Steps from one telling of quality to the next: it should take a small part of the time.
fn usual_pause(steps: u64) -> u64 {
    steps.div_ceil(QUALITY_TIMES).max(LEAST_PAUSE)
}
