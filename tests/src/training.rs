//! A linear regression as a training program, with its gradient written by hand.

use offshoot::trainer::StateKind;
use offshoot_export::Result;
use offshoot_export::graph::{ElementType, Graph, Lowering, Tensor, Value};
use offshoot_export::program::{ProcedureGraph, ProgramBuilder};
use offshoot_export::shape;

/// First weights, `[2, 1]`.
pub const WEIGHT: [f32; 2] = [0.5, -0.25];
/// First bias, `[1]`.
pub const BIAS: [f32; 1] = [0.125];
/// What the momentum keeps at each step.
const MOMENTUM: f32 = 0.9;

/// The values of one forward pass and its gradients.
struct Pass {
    prediction: Value,
    loss: Value,
    weight_gradient: Value,
    bias_gradient: Value,
}

/// Mean squared error of `x w + b` against `y`, with its gradients by `w` and `b`.
fn pass(g: &mut Graph, w: Value, b: Value) -> Result<Pass> {
    let x = g.input("x", ElementType::Float32, shape!["batch", 2])?;
    let y = g.input("y", ElementType::Float32, shape!["batch", 1])?;
    let product = g.matmul(x, w)?;
    let prediction = g.add(product, b)?;
    let difference = g.sub(prediction, y)?;
    let square = g.mul(difference, difference)?;
    let loss = g.reduce_mean(square, 0)?;
    let size = g.size_of(x, 0)?;
    let size = g.cast(size, ElementType::Float32)?;
    let two = g.scalar(2.0)?;
    let factor = g.div(two, size)?;
    let gradient = g.mul(difference, factor)?;
    let x_t = g.transpose(x, &[1, 0])?;
    let weight_gradient = g.matmul(x_t, gradient)?;
    let bias_gradient = g.reduce_sum(gradient, 0)?;
    let bias_gradient = g.squeeze(bias_gradient, 0)?;
    Ok(Pass { prediction, loss, weight_gradient, bias_gradient })
}

fn parameters(g: &mut Graph) -> Result<(Value, Value)> {
    let w = g.input("w", ElementType::Float32, shape![2, 1])?;
    let b = g.input("b", ElementType::Float32, shape![1])?;
    Ok((w, b))
}

/// New momentum and new parameter: `m' = 0.9 m + gradient`, `p' = p - rate m'`.
fn descend(g: &mut Graph, p: Value, m: Value, gradient: Value, rate: Value) -> Result<[Value; 2]> {
    let keep = g.scalar(MOMENTUM)?;
    let kept = g.mul(m, keep)?;
    let m = g.add(kept, gradient)?;
    let change = g.mul(m, rate)?;
    Ok([m, g.sub(p, change)?])
}

fn update(g: &mut Graph, p: [Value; 2], gradients: [Value; 2]) -> Result<()> {
    let rate = g.input("rate", ElementType::Float32, shape![])?;
    let m_w = g.input("m_w", ElementType::Float32, shape![2, 1])?;
    let m_b = g.input("m_b", ElementType::Float32, shape![1])?;
    let [m_w, w] = descend(g, p[0], m_w, gradients[0], rate)?;
    let [m_b, b] = descend(g, p[1], m_b, gradients[1], rate)?;
    for (name, value) in [("w.next", w), ("b.next", b), ("m_w.next", m_w), ("m_b.next", m_b)] {
        g.output(name, value)?;
    }
    Ok(())
}

fn all_state(procedure: ProcedureGraph) -> ProcedureGraph {
    ["w", "b", "m_w", "m_b"].into_iter().fold(procedure, |procedure, name| {
        procedure.reads(name, name).writes(&format!("{name}.next"), name)
    })
}

/// The program: `step`, `evaluate`, `accumulate` and `update`.
///
/// # Panics
/// When a graph is wrong.
pub fn regression() -> ProgramBuilder {
    build().expect("a sound program")
}

fn build() -> Result<ProgramBuilder> {
    let mut builder = ProgramBuilder::new("regression");
    builder.state("w", Tensor::from_f32(&[2, 1], &WEIGHT), StateKind::Parameter)?;
    builder.state("b", Tensor::from_f32(&[1], &BIAS), StateKind::Parameter)?;
    for (name, dims) in [("m_w", &[2, 1][..]), ("m_b", &[1]), ("g_w", &[2, 1]), ("g_b", &[1])] {
        builder.zeros(name, ElementType::Float32, dims, StateKind::Optimizer)?;
    }

    let mut g = Graph::new("step", Lowering::Standard);
    let (w, b) = parameters(&mut g)?;
    let out = pass(&mut g, w, b)?;
    g.output("loss", out.loss)?;
    update(&mut g, [w, b], [out.weight_gradient, out.bias_gradient])?;
    builder.procedure(all_state(ProcedureGraph::new("step", g)).guard("loss"))?;

    let mut g = Graph::new("evaluate", Lowering::Standard);
    let (w, b) = parameters(&mut g)?;
    let out = pass(&mut g, w, b)?;
    g.output("loss", out.loss)?;
    g.output("prediction", out.prediction)?;
    builder.procedure(ProcedureGraph::new("evaluate", g).reads("w", "w").reads("b", "b"))?;

    let mut g = Graph::new("accumulate", Lowering::Standard);
    let (w, b) = parameters(&mut g)?;
    let out = pass(&mut g, w, b)?;
    let share = g.input("share", ElementType::Float32, shape![])?;
    let mut procedure_state = Vec::new();
    for (name, gradient, dims) in
        [("g_w", out.weight_gradient, shape![2, 1]), ("g_b", out.bias_gradient, shape![1])]
    {
        let sum = g.input(name, ElementType::Float32, dims)?;
        let part = g.mul(gradient, share)?;
        let sum = g.add(sum, part)?;
        g.output(&format!("{name}.next"), sum)?;
        procedure_state.push(name);
    }
    g.output("loss", out.loss)?;
    let mut procedure = ProcedureGraph::new("accumulate", g).reads("w", "w").reads("b", "b");
    for name in procedure_state {
        procedure = procedure.reads(name, name).writes(&format!("{name}.next"), name);
    }
    builder.procedure(procedure.guard("loss"))?;

    let mut g = Graph::new("update", Lowering::Standard);
    let (w, b) = parameters(&mut g)?;
    let g_w = g.input("g_w", ElementType::Float32, shape![2, 1])?;
    let g_b = g.input("g_b", ElementType::Float32, shape![1])?;
    update(&mut g, [w, b], [g_w, g_b])?;
    let zero = g.scalar(0.0)?;
    for (name, value) in [("g_w", g_w), ("g_b", g_b)] {
        let none = g.mul(value, zero)?;
        g.output(&format!("{name}.next"), none)?;
    }
    let mut procedure = all_state(ProcedureGraph::new("update", g));
    for name in ["g_w", "g_b"] {
        procedure = procedure.reads(name, name).writes(&format!("{name}.next"), name);
    }
    builder.procedure(procedure)?;
    Ok(builder)
}
