"""Makes `cases.json`: what PyTorch computes for each encoder and each objective.

    pip install torch==2.15 numpy
    python make.py

Encoders are those of `networks.py`, objectives those of `losses.py`, both written from their
papers and in float64. Weights are numbers that depend on their name alone, see
`networks.weight`, which the test computes as well. A case has the encoder's sizes, its inputs
as float32 or integers, and either the embedding or the loss and the joint norm of the gradients
by all weights; of objectives that predict tokens also the cross-entropy of these.
"""

import json
from pathlib import Path

import losses
import numpy as np
import torch
from networks import Net, encode, numbers

torch.set_num_threads(1)
VOCABULARY, LONGEST = 23, 9


def tokens(positions, causal, window=1, layers=2):
    return dict(family="token-transformer", vocabulary=VOCABULARY, max_tokens=LONGEST, width=16,
                layers=layers, heads=2, hidden=24, causal=causal, positions=positions,
                window=window)


def normalization(means, deviations):
    return dict(mean=means, deviation=deviations)


LAYERS = dict(width=16, layers=2, heads=2, hidden=24)
RGB = normalization([120.0, 110.0, 100.0], [60.0, 64.0, 70.0])
GREY = normalization([96.0], [80.0])
TWO = normalization([0.25, -0.5], [0.75, 1.5])
ENCODERS = {
    "learned": tokens("learned", False),
    "rotary": tokens("rotary", False),
    "learned-causal": tokens("learned", True),
    "rotary-causal": tokens("rotary", True),
    "window": tokens("rotary", False, 5),
    "window-causal": tokens("learned", True, 4),
    "window-alone": tokens("rotary", False, 3, 0),
    "vision-transformer": dict(family="vision-transformer", size=[8, 12, 3], patch=4,
                               layers=LAYERS, normalization=RGB),
    "residual-network": dict(family="residual-network", size=[7, 7, 1], stages=[8, 16, 16],
                             blocks=2, normalization=GREY),
    "shift-mixer": dict(family="shift-mixer", size=[6, 10, 3], patch=2, stages=[8, 16],
                        blocks=[2, 1], expansion=2, normalization=RGB),
    "signal-transformer": dict(family="signal-transformer", size=[2, 20], patch=5, layers=LAYERS,
                               normalization=TWO),
    "signal-network": dict(family="signal-network", size=[2, 15], stages=[8, 16], blocks=1,
                           window=5, normalization=TWO),
}
OBJECTIVES = {
    "masked-token": ["learned", "window"],
    "autoregressive": ["rotary-causal", "window-causal"],
    "replaced-token": ["rotary"],
    "denoising": ["shift-mixer", "signal-network"],
    "masked-patches": ["vision-transformer", "signal-transformer"],
    "rotation": ["residual-network"],
    "order": ["signal-network"],
    "simclr": ["vision-transformer"],
    "simcse": ["rotary"],
    "neighborhood": ["signal-network"],
    "vicreg": ["signal-transformer"],
    "barlow-twins": ["residual-network"],
    "simsiam": ["shift-mixer"],
    "self-distillation": ["vision-transformer"],
    "sigreg": ["signal-transformer"],
    "triplet": ["vision-transformer"],
    "supervised-contrastive": ["signal-network"],
    "multiple-negatives": ["learned", "window-alone"],
}
PREDICTORS = ["masked-token", "autoregressive", "replaced-token"]


def drawn(name, *shape):
    """Numbers from -1 to 1, as float32 holds them."""
    return torch.from_numpy(numbers(name, *shape).astype(np.float32).astype(np.float64))


def below(name, most, *shape):
    return torch.from_numpy(np.floor((numbers(name, *shape) + 1) / 2 * most).astype(np.int64))


def example_inputs(name, a, rows):
    """A batch: rows of tokens of several lengths, pixels, or signals."""
    if a["family"] == "token-transformer":
        lengths = torch.tensor([(5 * row) % 6 + 3 for row in range(rows)])
        width = int(lengths.max())
        mask = (torch.arange(width) < lengths[:, None]).long()
        # Id 0 is padding, 1 the mask token.
        return {"input_ids": (2 + below(name, VOCABULARY - 2, rows, width)) * mask,
                "attention_mask": mask}
    shape = [rows, *a["size"]]
    if len(a["size"]) == 3:
        return {"pixels": below(name, 256, *shape)}
    return {"signals": (2 * drawn(name, *shape)).float().double()}


def case(name, encoder, objective=None):
    a = ENCODERS[encoder]
    net = Net()
    rows = 3 if objective is None else 8
    inputs = example_inputs(name, a, rows)
    found = dict(encoder=a, objective=objective)
    if objective is None:
        _, pooled = encode(net, a, inputs)
        found["embedding"] = [float(f"{v:.9g}") for v in pooled.detach().flatten()]
    else:
        function = getattr(losses, objective.replace("-", "_"))
        loss = function(net, a, inputs, lambda what, *shape: drawn(f"{name}.{what}", *shape))
        loss.backward()
        gradients = [w.grad for w in net.made.values() if w.requires_grad and w.grad is not None]
        norm = torch.sqrt(sum((g**2).sum() for g in gradients))
        found.update(loss=loss.item(), gradient_norm=norm.item(), weights=sum(
            w.numel() for w in net.made.values() if w.requires_grad))
        if objective in PREDICTORS:
            found["cross_entropy"] = getattr(net, "cross_entropy", loss).item()
    described = {}
    for key, value in inputs.items():
        kind = "uint8" if key == "pixels" else "float32" if value.is_floating_point() else "int64"
        values = value.flatten().tolist()
        values = [float(np.float32(v)) for v in values] if kind == "float32" else values
        described[key] = dict(element=kind, shape=list(value.shape), values=values)
    return dict(name=name, inputs=described, **found)


def main():
    cases = [case(f"embedding of {encoder}", encoder) for encoder in ENCODERS]
    for objective, encoders in OBJECTIVES.items():
        cases += [case(f"{objective} of {encoder}", encoder, objective) for encoder in encoders]
    text = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    Path(__file__).with_name("cases.json").write_text(f"[\n{text}\n]\n")
    for found in cases:
        print(found["name"], found.get("loss"), found.get("gradient_norm"))


if __name__ == "__main__":
    main()
