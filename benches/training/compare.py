"""One training step, AdamW included, in PyTorch (eager, compiled) and as a plain graph in
ONNX Runtime, side by side in one run.

    cargo build --release -p offshoot-export --example training_step
    python benches/training/compare.py transformer --program target/release/examples/training_step

Prints, for each engine, the losses of the first three steps (which must agree), the median
and least wall time and processor time of a step over interleaved rounds, and their ratio to
the graph's. `--memory ENGINE` runs one engine alone and prints how much its steps need beyond what is resident
before them (Linux).
`--recompute cheap|blocks` has the graph compute activations again in place of keeping them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from models import make


def pytorch(name, compiled):
    model, batch = make(name)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    run = torch.compile(model) if compiled else model

    def step():
        optimizer.zero_grad()
        loss = run(*batch)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def export(name, program, recompute, folder):
    """Writes the network and its training step to a folder."""
    model, batch = make(name)
    source, path = folder / "model.onnx", folder / "step.onnx"
    training = torch.onnx.TrainingMode.TRAINING
    torch.onnx.export(
        model, batch, str(source), input_names=model.inputs, output_names=["loss"],
        dynamo=False, training=training, do_constant_folding=False,
    )
    again = ["--recompute", recompute] if recompute else []
    subprocess.run([program, str(source), "loss", str(path), *again], check=True)


def graph(name, threads, folder):
    import onnx
    import onnxruntime as ort
    from onnx import numpy_helper

    model, batch = make(name)
    source, path = folder / "model.onnx", folder / "step.onnx"
    state = json.loads(Path(f"{path}.json").read_text())
    held = {t.name: numpy_helper.to_array(t) for t in onnx.load(str(source)).graph.initializer}
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # As the trainer's sessions are.
    options.enable_mem_pattern = False
    session = ort.InferenceSession(str(path), options)
    first = {n: held.get(n, np.zeros(d, np.float32)).astype(np.float32) for n, _, d in state}
    buffers = [
        {n: ort.OrtValue.ortvalue_from_numpy(v.copy()) for n, v in first.items()} for _ in range(2)
    ]
    loss = ort.OrtValue.ortvalue_from_numpy(np.zeros([], np.float32))
    norm = ort.OrtValue.ortvalue_from_numpy(np.zeros([], np.float32))
    bindings = []
    for turn in range(2):
        binding = session.io_binding()
        for n, output, _ in state:
            binding.bind_ortvalue_input(n, buffers[turn][n])
            binding.bind_ortvalue_output(output, buffers[1 - turn][n])
        for n, value in zip(model.inputs, batch):
            binding.bind_cpu_input(n, value.numpy())
        binding.bind_cpu_input("learning_rate", np.array(1e-3, np.float32))
        binding.bind_ortvalue_output("loss", loss)
        binding.bind_ortvalue_output("gradient_norm", norm)
        bindings.append(binding)
    turn = [0]

    def step():
        session.run_with_iobinding(bindings[turn[0]])
        turn[0] = 1 - turn[0]
        return float(loss.numpy())

    return step


def status(field):
    """A figure of this process's memory, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) // 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=["transformer", "resnet"])
    parser.add_argument("--program", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--recompute", choices=["cheap", "blocks"])
    parser.add_argument("--memory", choices=["eager", "compiled", "graph"])
    parser.add_argument("--export", type=Path, help="write the graph to this folder and end")
    asked = parser.parse_args()
    if asked.export:
        export(asked.model, asked.program, asked.recompute, asked.export)
        return
    # By another process, whose memory is none of ours.
    folder = Path(tempfile.mkdtemp())
    subprocess.run([sys.executable, *sys.argv, "--export", str(folder)], check=True)
    torch.set_num_threads(asked.threads)
    engines = {
        "eager": lambda: pytorch(asked.model, False),
        "compiled": lambda: pytorch(asked.model, True),
        "graph": lambda: graph(asked.model, asked.threads, folder),
    }
    if asked.memory:
        step = engines[asked.memory]()
        before = status("VmRSS")
        for _ in range(3):
            step()
        # From here on the highest mark is that of steps alone, not of what compiled them.
        Path("/proc/self/clear_refs").write_text("5")
        for _ in range(5):
            step()
        peak = status("VmHWM")
        print(f"{asked.memory}: {before} MiB before the steps, {peak - before} MiB more at most")
        return
    steps = {name: engine() for name, engine in engines.items()}
    for name, step in steps.items():
        print(name, [round(step(), 4) for _ in range(3)])
    wall = {name: [] for name in steps}
    cpu = {name: [] for name in steps}
    for _ in range(asked.rounds):
        for name, step in steps.items():
            start, used = time.perf_counter(), time.process_time()
            step()
            wall[name].append(1e3 * (time.perf_counter() - start))
            cpu[name].append(1e3 * (time.process_time() - used))
    for name in steps:
        ratio = np.median(np.array(wall[name]) / np.array(wall["graph"]))
        used = np.median(np.array(cpu[name]) / np.array(cpu["graph"]))
        print(
            f"{name:9s} wall {np.median(wall[name]):7.1f} ms (least {min(wall[name]):7.1f}), "
            f"ratio {ratio:.2f}; processor {np.median(cpu[name]):7.1f} ms, ratio {used:.2f}"
        )


if __name__ == "__main__":
    main()
