"""Makes small networks as both exporters of PyTorch write them, with their gradients, and
the losses of 300 steps of training.

NAME-EXPORTER.onnx is a network, NAME-EXPORTER.safetensors an input, and the gradients of
mean(output²) by every weight, named as the initializer and transposed as it is. curves.json
holds the losses. Run: python networks.py
"""

import io
import json
import math
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from safetensors.numpy import save_file
from torch import nn

HERE = Path(__file__).parent
torch.set_num_threads(1)
STEPS, BATCH = 300, 16


class SplitMix64:
    """Steele, Lea & Flood, 2014; the tests draw the same numbers."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    def unit(self):
        return (self.next() >> 40) / (1 << 24)


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        split = lambda t: t.reshape(batch, tokens, self.heads, -1).transpose(1, 2)
        q, k, v = map(split, self.qkv(self.norm1(x)).chunk(3, -1))
        mixed = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """Classifies sequences of 8 tokens."""

    def __init__(self, width, vocabulary=12, tokens=8, classes=4):
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(0.1 * torch.randn(tokens, width))
        self.layers = nn.ModuleList(Layer(width, 4) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x):
        x = self.words(x) + self.places
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x).mean(1))


class Convolutional(nn.Module):
    """Classifies images [3, 8, 8]: plain, strided, depthwise and pointwise convolutions."""

    def __init__(self, classes=4):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.deep = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8, bias=False)
        self.point = nn.Conv2d(8, 16, 1)
        self.head = nn.Linear(16, classes)

    def forward(self, x):
        x = F.max_pool2d(F.silu(self.norm(self.first(x))), 3, 1, 1)
        x = F.relu6(self.point(self.deep(x)))
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


def tokens(random, rows=BATCH):
    """Sequences, labelled by their first token or, where that is large, by their third."""
    x = [[random.next() % 12 for _ in range(8)] for _ in range(rows)]
    labels = [row[0] % 4 if row[0] < 8 else row[2] % 4 for row in x]
    return torch.tensor(x), torch.tensor(labels)


def images(random, rows=BATCH):
    """Noise, brighter by half in the quarter that is the label."""
    x, labels = np.empty((rows, 3, 8, 8), np.float32), []
    for row in range(rows):
        label = random.next() % 4
        labels.append(label)
        for c, i, j in np.ndindex(3, 8, 8):
            bright = 0.5 if label == 2 * (i // 4) + j // 4 else 0.0
            x[row, c, i, j] = random.unit() - 0.5 + bright
    return torch.from_numpy(x), torch.tensor(labels)


def export(network, example, dynamo):
    file = io.BytesIO()
    if dynamo:
        shapes = {"x": {0: torch.export.Dim("batch")}}
        program = torch.onnx.export(
            network, (example,), dynamo=True, dynamic_shapes=shapes, input_names=["x"],
            output_names=["y"], verbose=False,
        )
        program.save(HERE / "made.onnx")
    else:
        torch.onnx.export(
            network, (example,), file, dynamo=False, opset_version=17,
            dynamic_axes={"x": {0: "batch"}}, input_names=["x"], output_names=["y"],
        )
        (HERE / "made.onnx").write_bytes(file.getvalue())
    model = onnx.load(HERE / "made.onnx")
    for path in HERE.glob("made.onnx*"):
        path.unlink()
    # Paths of this machine and what else says nothing about the graph.
    del model.metadata_props[:]
    for item in [*model.graph.node, *model.graph.value_info, *model.graph.input,
                 *model.graph.output, *model.graph.initializer]:
        item.doc_string = ""
        del item.metadata_props[:]
    return model


def matched(model, network):
    """Which weight each initializer is, and whether transposed."""
    weights = {name: p.detach().numpy() for name, p in network.named_parameters()}
    found = {}
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype != np.float32 or value.size < 4:
            continue
        for name, weight in weights.items():
            if any(name == other for other, _ in found.values()):
                continue
            if value.size != weight.size:
                continue
            squeezed = value.reshape(weight.shape) if value.ndim > weight.ndim else value
            if squeezed.shape == weight.shape and (squeezed == weight).all():
                found[tensor.name] = name, False
            elif weight.ndim == 2 and value.shape == weight.T.shape and (value == weight.T).all():
                found[tensor.name] = name, True
            else:
                continue
            break
    missing = set(weights) - {name for name, _ in found.values()}
    assert not missing, missing
    return found


def distinct(network):
    """Draws all weights anew, so that no two are equal."""
    with torch.no_grad():
        for name, p in network.named_parameters():
            noise = torch.randn(p.shape) / math.sqrt(p.shape[-1] if p.ndim > 1 else 16)
            p.copy_(noise + (1.0 if "norm" in name and name.endswith("weight") else 0.0))
    return network


def gradients(name, network, example):
    for dynamo in (True, False):
        model = export(network, example, dynamo)
        found = matched(model, network)
        network.zero_grad()
        network(example).pow(2).mean().backward()
        stem = f"{name}-{'dynamo' if dynamo else 'script'}"
        arrays = {"input": example.numpy()}
        shapes = {t.name: list(t.dims) for t in model.graph.initializer}
        for initializer, (weight, transposed) in found.items():
            gradient = network.get_parameter(weight).grad.numpy()
            gradient = gradient.T if transposed else gradient
            arrays[initializer] = gradient.reshape(shapes[initializer]).copy()
        save_file(arrays, HERE / f"{stem}.safetensors")
        onnx.save(model, HERE / f"{stem}.onnx")


def curve(network, draw, make):
    matrices = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    optimizer = make([{"params": matrices}, {"params": vectors, "weight_decay": 0.0}])
    random, losses = SplitMix64(7), []
    for _ in range(STEPS):
        x, labels = draw(random)
        loss = F.cross_entropy(network(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(round(loss.item(), 6))
    return losses


if __name__ == "__main__":
    torch.manual_seed(4)
    gradients("transformer", distinct(Transformer(12)), tokens(SplitMix64(1), 3)[0])
    convolutional = distinct(Convolutional())
    gradients("convolutional", convolutional, images(SplitMix64(1), 3)[0])

    large = distinct(Transformer(32))
    onnx.save(export(large, tokens(SplitMix64(1), 3)[0], True), HERE / "large.onnx")
    curves = {
        "transformer": curve(
            large, tokens, lambda groups: torch.optim.AdamW(groups, lr=2e-3, weight_decay=0.01)
        ),
        "convolutional": curve(
            convolutional, images,
            lambda groups: torch.optim.SGD(groups, lr=0.05, momentum=0.9, nesterov=True),
        ),
    }
    (HERE / "curves.json").write_text(json.dumps(curves) + "\n")
