"""One training step of a perceptron (batch 256, 512 wide, three layers, mean squared
error, Adam), by `onnxsim.compile_training_loop` and as this project's graph, in one run.

    python benches/training/compare_onnxsim.py --program target/release/examples/training_step

Then, for the networks of models.py as PyTorch exports them, whether onnxsim can
differentiate them.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import onnxsim
import torch
from models import MODELS, make
from onnx import numpy_helper
from torch import nn


class Perceptron(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 16)
        )

    def forward(self, x, y):
        difference = self.body(x) - y
        return (difference * difference).mean()


def export(model, batch, names, path):
    torch.onnx.export(
        model, batch, str(path), input_names=names, output_names=["loss"], dynamo=False,
        training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False,
    )
    return onnx.load(str(path))


def trained(model):
    return [
        t.name for t in model.graph.initializer
        if t.data_type == 1 and np.prod(t.dims) > 1 and "running_" not in t.name
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--rounds", type=int, default=40)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    torch.manual_seed(0)
    batch = torch.randn(256, 512), torch.randn(256, 16)
    model = export(Perceptron(), batch, ["x", "y"], folder / "mlp.onnx")
    feeds = {"x": batch[0].numpy(), "y": batch[1].numpy()}
    loop = onnxsim.compile_training_loop(model, "loss", trained(model))

    step_path = folder / "step.onnx"
    subprocess.run([asked.program, folder / "mlp.onnx", "loss", step_path], check=True)
    state = json.loads(Path(f"{step_path}.json").read_text())
    held = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(step_path), options)
    buffers = [
        {n: ort.OrtValue.ortvalue_from_numpy(held.get(n, np.zeros(d, np.float32)).copy()) for n, _, d in state}
        for _ in range(2)
    ]
    bindings = []
    for turn in range(2):
        binding = session.io_binding()
        for n, output, _ in state:
            binding.bind_ortvalue_input(n, buffers[turn][n])
            binding.bind_ortvalue_output(output, buffers[1 - turn][n])
        for n, value in feeds.items():
            binding.bind_cpu_input(n, value)
        binding.bind_cpu_input("learning_rate", np.array(1e-3, np.float32))
        binding.bind_output("loss")
        binding.bind_output("gradient_norm")
        bindings.append(binding)
    steps = {"onnxsim": lambda: [loop(feeds, 1e-3) for _ in range(2)], "graph": lambda: [session.run_with_iobinding(b) for b in bindings]}
    for step in steps.values():
        step(), step()
    times = {name: [] for name in steps}
    for _ in range(asked.rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(1e3 * (time.perf_counter() - start) / 2)
    ratio = np.median(np.array(times["onnxsim"]) / np.array(times["graph"]))
    for name, spent in times.items():
        print(f"{name:8s} median {np.median(spent):.2f} ms, least {min(spent):.2f}")
    print(f"onnxsim takes {ratio:.2f} times as long")

    for name in MODELS:
        network, inputs = make(name)
        exported = export(network, inputs, network.inputs, folder / f"{name}.onnx")
        values = {n: v.numpy() for n, v in zip(network.inputs, inputs)}
        try:
            onnxsim.compile_training_loop(exported, "loss", trained(exported))(values, 1e-3)
            print(f"{name}: onnxsim differentiates it")
        except Exception as error:
            print(f"{name}: onnxsim: {str(error)[:90]}")


if __name__ == "__main__":
    main()
