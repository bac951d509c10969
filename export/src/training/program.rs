//! A training step as a program that the runtime's trainer runs.

use super::TrainingStep;
use crate::error::Result;
use crate::program::{ProcedureGraph, ProgramBuilder};

impl TrainingStep {
    /// The step as the procedure `step` of a program with its state. A run whose loss or
    /// gradient norm is not finite changes nothing. Other procedures may be added.
    ///
    /// # Errors
    /// [`Error::Program`](crate::Error::Program) when the step and its state do not fit.
    pub fn program(self, name: &str) -> Result<ProgramBuilder> {
        let mut builder = ProgramBuilder::new(name);
        let mut procedure =
            ProcedureGraph::new("step", self.graph).guard("loss").guard("gradient_norm");
        for state in self.state {
            procedure = procedure.reads(&state.name, &state.name);
            procedure = procedure.writes(&state.output, &state.name);
            builder.state(&state.name, state.initial, state.kind)?;
        }
        builder.procedure(procedure)?;
        Ok(builder)
    }
}
