//! The loop.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use offshoot::{Engine, Trainer};
use offshoot_export::archive::Written;
use offshoot_export::graph::Tensor;
use offshoot_export::training::AVERAGE;

use super::budget::settle_steps;
use super::event::{Event, Pretrained};
use super::finish::Finished;
use super::held_out::HeldOut;
use super::loader::{Loader, Maker};
use super::options::{PretrainOptions, Start};
use super::patience::Patience;
use super::prediction::Questions;
use super::program::{self, Settings};
use super::provenance::Course;
use super::record::{Recorder, StepRecord};
use super::run_folder::{Description, RunFolder};
use super::schedule::Schedule;
use super::setup::{self, Setup};
use super::{fits, init, step};
use crate::data::Dataset;
use crate::error::{Error, Result};

/// Examples below which they say nothing of a collapse: few always lie close together.
const FEWEST: usize = 6;
/// Times that quality is told in a run, unless asked otherwise.
const QUALITY_TIMES: u64 = 20;
/// Least number of steps in between.
const LEAST_PAUSE: u64 = 20;
/// Examples that the bundle is compared on.
const COMPARED: usize = 32;

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
    held_out: HeldOut,
    /// Held-out tokens that are asked for.
    questions: Option<Questions>,
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
        let (maker, held_out) = (Arc::new(maker), HeldOut::new(held_out));
        if options.patience.is_some() && held_out.len() < 2 {
            return Err(Error::Pretrain(format!(
                "of {} examples {} is held out, too few to watch a loss; give at least 20, or no \
                 patience",
                data.len(),
                held_out.len()
            )));
        }

        let settings = Settings {
            optimizer: options.optimizer,
            weight_decay: options.weight_decay,
            max_gradient_norm: Some(1.0),
            average_decay: options.decay(),
            accumulates: options.accumulate > 1,
            recompute: options.recompute.clone(),
            watches: options.patience.is_some(),
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
        let questions = Questions::of(options, &maker, &held_out)?;

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
            questions,
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
        let mut patience = match self.options.patience {
            Some(patience) => Some(Patience::resumed(patience, &self.folder, done)?),
            None => None,
        };
        let is_over = |patience: &Option<Patience>| patience.as_ref().is_some_and(|p| p.is_over());
        let (mut quality, mut prediction) = (None, None);
        let mut taken = done;
        while taken < steps && !is_over(&patience) {
            if self.options.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                recorder.sync()?;
                self.save()?;
                return Err(Error::Interrupted);
            }
            let before = Instant::now();
            let mut record = self.step(taken, &mut loader)?;
            let seconds = before.elapsed().as_secs_f64().max(1e-9);
            taken += 1;
            let mut best = false;
            if taken.is_multiple_of(every) || taken == steps {
                self.look(&mut record, tell)?;
                let watched = patience.as_mut().zip(record.held_out_loss);
                best = watched.is_some_and(|(patience, loss)| patience.see(taken, loss));
                if best || patience.is_none() {
                    (quality, prediction) = (record.quality, record.prediction);
                }
            }
            recorder.add(&record)?;
            tell(Event::Step { record, examples_per_second: self.examples() / seconds });
            let due = saved.elapsed() >= Duration::from_secs(self.options.checkpoint_seconds);
            if best || (due && taken < steps) {
                recorder.sync()?;
                self.save()?;
                saved = Instant::now();
            }
            if best {
                self.folder.keep_best()?;
            }
        }
        drop(loader);
        recorder.sync()?;
        self.save()?;
        let kept = patience.as_ref().and_then(Patience::kept).unwrap_or(taken);
        if is_over(&patience) {
            tell(Event::Stops { step: taken, kept });
        }
        if kept != taken {
            self.trainer.restore(self.folder.best())?;
        }
        let written = self.finish(kept, taken)?;
        let unreadable = self.maker.unreadable.load(Ordering::Relaxed);
        Ok(Pretrained { written, steps: kept, quality, prediction, unreadable })
    }

    /// Adds the figures of held-out examples to a step's record.
    fn look(&mut self, record: &mut StepRecord, tell: &mut dyn FnMut(Event)) -> Result<()> {
        let quality = self.held_out.quality(&mut self.trainer, &self.maker)?;
        let told = self.held_out.len() >= FEWEST;
        if let Some(reason) = quality.collapse().filter(|_| told) {
            tell(Event::Collapse { step: record.step, reason });
        }
        record.quality = Some(quality);
        if let Some(questions) = &self.questions {
            record.prediction = Some(questions.ask(&mut self.trainer)?);
        }
        if self.options.patience.is_some() {
            record.held_out_loss = Some(self.held_out.loss(&mut self.trainer, &self.maker)?);
        }
        Ok(())
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
            prediction: None,
            held_out_loss: None,
        })
    }

    fn save(&self) -> Result<()> {
        Ok(self.trainer.save(self.folder.checkpoint(), &[])?)
    }

    /// Writes the bundle, whose weights are those after `kept` of `taken` steps.
    fn finish(&mut self, kept: u64, taken: u64) -> Result<Written> {
        let (batch, expected) = self.held_out.embed(COMPARED, &mut self.trainer, &self.maker)?;
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
        let course = Course {
            folder: &self.folder,
            engine: &self.engine,
            batch: self.maker.batch,
            planned: self.schedule.steps,
            taken,
            kept,
        };
        let finished = Finished {
            encoder: &self.setup.encoder,
            weights,
            tokenizer: self.setup.tokenizer.as_deref(),
            source: name.clone(),
            name,
            pretraining: course.recorded(self.options, self.data.as_ref(), &self.setup.encoder)?,
            origin: self.setup.origin.as_deref(),
        };
        finished.write(output, &batch, &expected)
    }
}

/// Steps from one telling of quality to the next: it should take a small part of the time.
fn usual_pause(steps: u64) -> u64 {
    steps.div_ceil(QUALITY_TIMES).max(LEAST_PAUSE)
}
