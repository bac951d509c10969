//! Convolution, pooling and resizing.

use super::super::{Dim, Graph, Shape, TensorType};
use super::Call;
use crate::error::Result;

/// Windows with larger numbers are refused: sums and products of them stay within i64.
const MOST: u64 = 1 << 20;

/// Attributes of operators that move a window over the trailing dimensions.
pub(crate) struct Window {
    /// Size of the window, for each spatial dimension.
    pub(crate) kernel: Vec<i64>,
    /// Steps between windows.
    pub(crate) strides: Vec<i64>,
    /// Steps within a window.
    pub(crate) dilations: Vec<i64>,
    /// Padding before and after each spatial dimension: all befores, then all afters.
    pub(crate) pads: Vec<i64>,
}

pub(super) fn types(g: &mut Graph, call: &Call<'_>) -> Result<Option<Vec<TensorType>>> {
    let operator = call.operator;
    let kind = match operator {
        "Conv" => {
            let (x, w) = (call.kind(g, 0)?, call.kind(g, 1)?);
            let groups = usize::try_from(call.attributes.int("group", 1)).unwrap_or(1);
            let inner = w.shape.get(1).and_then(|dim| dim.times(&Dim::from(groups)));
            let fits = x.rank() == w.rank()
                && x.rank() > 2
                && inner.zip(x.shape.get(1)).is_some_and(|(a, b)| g.may_equal(&a, b));
            if !fits || x.element != w.element {
                return Err(g.error(operator, format!("{w} of {groups} groups on {x}")));
            }
            let kernel: Option<Vec<i64>> =
                w.shape.iter().skip(2).map(|dim| dim.fixed().map(|n| n as i64)).collect();
            let Some(kernel) = kernel else {
                return Err(g.error(operator, format!("the size of the kernel {w} is not known")));
            };
            let window = window(g, call, kernel, &x.shape)?;
            let mut shape = Shape::from([first(&x.shape, 0), first(&w.shape, 0)]);
            shape.extend(covered(g, &x.shape, &window, false));
            TensorType::new(x.element, shape)
        }
        "ConvTranspose" => {
            let (x, w) = (call.kind(g, 0)?, call.kind(g, 1)?);
            let groups = usize::try_from(call.attributes.int("group", 1)).unwrap_or(1);
            let kernel: Option<Vec<i64>> =
                w.shape.iter().skip(2).map(|dim| dim.fixed().map(|n| n as i64)).collect();
            let channels = w.shape.get(1).and_then(|dim| dim.times(&Dim::from(groups)));
            let Some(kernel) = kernel else {
                return Err(g.error(operator, format!("the size of the kernel {w} is not known")));
            };
            let fits = x.rank() == w.rank() && x.rank() > 2;
            let (Some(channels), true) = (channels, fits) else {
                return Err(g.error(operator, format!("{w} of {groups} groups on {x}")));
            };
            let stated = call.attributes.ints("output_shape");
            let extra = call.attributes.ints("output_padding");
            let window = window(g, call, kernel, &x.shape)?;
            let spatial = x.rank() - 2;
            let same = call.attributes.string("auto_pad").starts_with("SAME") && stated.is_none();
            let mut shape = Shape::from([first(&x.shape, 0), channels]);
            for i in 0..spatial {
                if same {
                    let stride = window.strides.get(i).and_then(|&n| usize::try_from(n).ok());
                    let by = Dim::from(stride.unwrap_or(1));
                    let scaled = x.shape.get(i + 2).and_then(|dim| dim.times(&by));
                    shape.push(scaled.unwrap_or_else(|| g.fresh_dim("spatial")));
                    continue;
                }
                let get = |list: &[i64], at: usize| list.get(at).copied().unwrap_or(0);
                let size = x.shape.get(i + 2).and_then(Dim::fixed).map(|size| {
                    get(&window.strides, i) * (size as i64 - 1)
                        + extra.as_ref().map_or(0, |extra| get(extra, i))
                        + (get(&window.kernel, i) - 1) * get(&window.dilations, i)
                        + 1
                        - get(&window.pads, i)
                        - get(&window.pads, i + spatial)
                });
                let size = stated.as_ref().map(|stated| get(stated, i)).or(size);
                let size = size.and_then(|size| usize::try_from(size).ok());
                shape.push(size.map_or_else(|| g.fresh_dim("spatial"), Dim::from));
            }
            TensorType::new(x.element, shape)
        }
        "MaxPool" | "AveragePool" | "LpPool" => {
            let x = call.kind(g, 0)?;
            let kernel = call.attributes.ints("kernel_shape").unwrap_or_default();
            if x.rank() < 3 || kernel.len() != x.rank() - 2 {
                return Err(g.error(operator, format!("a window {kernel:?} on {x}")));
            }
            let window = window(g, call, kernel, &x.shape)?;
            let ceil = call.attributes.int("ceil_mode", 0) != 0;
            let mut shape: Shape = x.shape.iter().take(2).cloned().collect();
            shape.extend(covered(g, &x.shape, &window, ceil));
            let kind = TensorType::new(x.element, shape);
            if call.outputs > 1 {
                return Ok(Some(vec![kind.clone(), super::integers(kind.shape)]));
            }
            kind
        }
        "GlobalAveragePool" | "GlobalMaxPool" => {
            let mut x = call.kind(g, 0)?;
            for dim in x.shape.iter_mut().skip(2) {
                *dim = Dim::from(1);
            }
            x
        }
        "Resize" | "Upsample" => {
            let mut x = call.kind(g, 0)?;
            let sizes = call.optional(3).and_then(|sizes| g.contents_of(sizes));
            let scales = call.optional(if operator == "Resize" { 2 } else { 1 });
            let scales = scales.and_then(|scales| g.tensor(scales)).and_then(|t| t.to_f64());
            let axes = call.attributes.ints("axes");
            let rank = x.rank();
            let axes = axes.unwrap_or_else(|| (0..rank as i64).collect());
            for (i, axis) in axes.iter().enumerate() {
                let Some(at) = super::position(*axis, rank) else { continue };
                let dim = x.shape.get(at).cloned();
                let stated = sizes.as_ref().and_then(|sizes| sizes.get(i)?.dim());
                let scaled = scales.as_ref().and_then(|scales| scales.get(i)).and_then(|scale| {
                    if *scale == 1.0 {
                        return dim.clone();
                    }
                    let size = (dim.as_ref()?.fixed()? as f64 * scale).floor();
                    Some(Dim::from(size as usize))
                });
                let found = stated.or(scaled).unwrap_or_else(|| g.fresh_dim("resized"));
                if let Some(place) = x.shape.get_mut(at) {
                    *place = found;
                }
            }
            x
        }
        _ => return Ok(None),
    };
    Ok(Some(vec![kind]))
}

fn first(shape: &[Dim], at: usize) -> Dim {
    shape.get(at).cloned().unwrap_or_else(|| Dim::from(1))
}

/// The window of an operator over `x`, its defaults filled in; `auto_pad` is turned
/// into numbers.
pub(super) fn window(g: &Graph, call: &Call<'_>, kernel: Vec<i64>, x: &[Dim]) -> Result<Window> {
    Window::new(g, call.operator, &call.attributes, kernel, x)
}

impl Window {
    /// The window that `attributes` describe, over values of the shape `x`
    /// `[batch, channels, spatial…]`.
    pub(crate) fn new(
        g: &Graph,
        operator: &str,
        attributes: &crate::graph::Attributes<'_>,
        kernel: Vec<i64>,
        x: &[Dim],
    ) -> Result<Self> {
        let spatial = kernel.len();
        let filled = |name: &str| {
            attributes
                .ints(name)
                .filter(|list| list.len() == spatial)
                .unwrap_or_else(|| vec![1; spatial])
        };
        let (strides, dilations) = (filled("strides"), filled("dilations"));
        let mut pads = attributes
            .ints("pads")
            .filter(|pads| pads.len() == 2 * spatial)
            .unwrap_or_else(|| vec![0; 2 * spatial]);
        let lists = [&kernel, &strides, &dilations, &pads];
        if lists.into_iter().flatten().any(|&n| n.unsigned_abs() > MOST) {
            return Err(g.error(operator, format!("a window reaches beyond {MOST} elements")));
        }
        let auto = attributes.string("auto_pad");
        if auto == "SAME_UPPER" || auto == "SAME_LOWER" {
            for i in 0..spatial {
                let size = x.get(i + 2).and_then(Dim::fixed).ok_or_else(|| {
                    g.error(operator, "`auto_pad` needs the size of the input; bind it".into())
                })? as i64;
                let get = |list: &[i64]| list.get(i).copied().unwrap_or(1).max(1);
                let (stride, kernel) = (get(&strides), get(&kernel));
                let count = (size + stride - 1) / stride;
                let reach = (kernel - 1) * get(&dilations) + 1;
                let total = ((count - 1) * stride + reach - size).max(0);
                let small = total / 2;
                let (before, after) = match auto == "SAME_UPPER" {
                    true => (small, total - small),
                    false => (total - small, small),
                };
                if let Some(pad) = pads.get_mut(i) {
                    *pad = before;
                }
                if let Some(pad) = pads.get_mut(i + spatial) {
                    *pad = after;
                }
            }
        }
        if strides.iter().chain(&dilations).chain(&kernel).any(|&n| n < 1) {
            return Err(g.error(operator, "strides, dilations and kernel must be 1 or more".into()));
        }
        Ok(Self { kernel, strides, dilations, pads })
    }
}

/// Number of windows along each spatial dimension.
fn covered(g: &mut Graph, x: &[Dim], window: &Window, ceil: bool) -> Vec<Dim> {
    let spatial = window.kernel.len();
    (0..spatial)
        .map(|i| {
            let get = |list: &[i64], at: usize| list.get(at).copied().unwrap_or(0);
            let reach = (get(&window.kernel, i) - 1) * get(&window.dilations, i) + 1;
            let (before, after) = (get(&window.pads, i), get(&window.pads, i + spatial));
            let stride = get(&window.strides, i).max(1);
            let count = x.get(i + 2).and_then(Dim::fixed).and_then(|size| {
                let size = size as i64;
                let room = size + before + after - reach;
                if room < 0 {
                    return Some(0);
                }
                let mut count = room / stride + 1;
                if ceil && room % stride != 0 && count * stride < size + before {
                    count += 1;
                }
                usize::try_from(count).ok()
            });
            count.map_or_else(|| g.fresh_dim("spatial"), Dim::from)
        })
        .collect()
}
