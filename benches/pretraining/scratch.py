"""How many labels training from scratch needs for what a pretrained encoder has with a few:
accuracy on Fashion-MNIST by labels a class, of the head `auto` on a frozen encoder, and of the same
network trained from drawn weights on those labels alone in PyTorch.

    cargo build --release && cargo build --release -p offshoot-adapters --example few_shot
    target/release/offshoot pretrain FOLDER/train-images-idx3-ubyte.gz --minutes 15 -o fashion.offshoot
    python benches/pretraining/scratch.py FOLDER fashion.offshoot --draws 3

FOLDER holds the four files of the set. The encoder must be the shift-mixer with `--stages` (that of
`--size tiny` unless told), pretrained on the training images. Labels are drawn from the 10,000 test
images, which it has not seen; what is not drawn is tested. From scratch, all weights and a linear
layer are trained by AdamW on cross-entropy, for `--steps` steps with a warm-up and a cosine, with
the views of the pretraining and without, at two learning rates: of these four recipes the table
has, for each number of labels, the one that was best on the tested images, which favours it.

Writes target/bench/pretraining/scratch.json and scratch.svg. On two quiet cores about 45 minutes
with 8 numbers of labels and 3 draws (a run from scratch takes 20 to 30 s); what is in the JSON
already is not measured again.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from compare import DATA, ROOT, auto, few_shot
from control import ShiftMixer, views
from few_shot import embeddings, idx
from torch import nn

SHOTS = [1, 2, 5, 10, 20, 50, 100, 200]
MEAN, DEVIATION = 0.286, 0.353
RECIPES = [(rate, augmented) for rate in (1e-3, 3e-3) for augmented in (True, False)]


def from_scratch(x, y, chosen, stages, rate, augmented, steps, seed):
    """Accuracy in per cent of a network trained on the chosen images, on all others."""
    torch.manual_seed(seed)
    encoder = ShiftMixer(stages)
    model = nn.Sequential(encoder, nn.Linear(encoder.width, 10))
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW([
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": 0.05},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ], lr=rate)
    batch = min(128, len(chosen))

    def prepared(images):
        return ((images - MEAN) / DEVIATION).permute(0, 2, 3, 1)

    for step in range(steps):
        share = step / steps
        for group in optimizer.param_groups:
            group["lr"] = rate * min((step + 1) / (0.05 * steps + 1),
                                     0.5 * (1 + math.cos(math.pi * share)))
        rows = chosen[torch.randperm(len(chosen))[:batch]]
        images = x[rows].float() / 255
        loss = F.cross_entropy(model(prepared(views(images) if augmented else images)), y[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    model.eval()
    tested = torch.ones(len(x), dtype=torch.bool)
    tested[chosen] = False
    with torch.no_grad():
        found = [model(prepared(part.float() / 255)).argmax(1) for part in x[tested].split(1000)]
    return 100 * (torch.cat(found) == y[tested]).double().mean().item()


def needed(accuracy, shots, curve):
    """Labels a class at which a curve first has an accuracy, between its points by their
    logarithms; nothing where it never has."""
    best = np.maximum.accumulate(curve)
    for at, value in enumerate(best):
        if value >= accuracy:
            if at == 0:
                return float(shots[0])
            low, high = math.log(shots[at - 1]), math.log(shots[at])
            part = (accuracy - best[at - 1]) / max(value - best[at - 1], 1e-9)
            return math.exp(low + part * (high - low))
    return None


def picture(path, shots, curves):
    """Accuracy by labels a class, these on a scale of logarithms."""
    left, right, top, bottom = 70, 620, 50, 400
    most, least = math.log(shots[-1]), math.log(shots[0])
    low = 10 * math.floor(min(min(c) for c in curves.values()) / 10)
    high = 10 * math.ceil(max(max(c) for c in curves.values()) / 10)

    def x(k):
        return left + (math.log(k) - least) / max(most - least, 1e-9) * (right - left)

    def y(a):
        return bottom - (a - low) / max(high - low, 1) * (bottom - top)

    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="700" height="460" font-family="sans-serif" '
             'font-size="13"><rect width="700" height="460" fill="white"/>',
             '<text x="70" y="26" font-size="17">Accuracy on Fashion-MNIST in %, by labels a class</text>']
    for a in range(low, high + 1, 10):
        parts.append(f'<path d="M{left} {y(a):.1f}H{right}" stroke="#ddd"/>'
                     f'<text x="{left - 8}" y="{y(a) + 4:.1f}" text-anchor="end">{a}</text>')
    for k in shots:
        parts.append(f'<text x="{x(k):.1f}" y="{bottom + 20}" text-anchor="middle">{k}</text>')
    for number, ((name, curve), color) in enumerate(zip(curves.items(), ("#1f6fb4", "#c4502a"))):
        points = " ".join(f"{x(k):.1f},{y(a):.1f}" for k, a in zip(shots, curve))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(k):.1f}" cy="{y(a):.1f}" r="3.5" fill="{color}"/>'
                  for k, a in zip(shots, curve)]
        parts.append(f'<text x="{left + 20}" y="{top + 10 + 20 * number}" fill="{color}">{name}</text>')
    Path(path).write_text("\n".join(parts) + "\n</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("bundle")
    parser.add_argument("--program", default=ROOT / "target/release/offshoot")
    parser.add_argument("--shots", type=int, nargs="+", default=SHOTS)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--stages", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    DATA.mkdir(parents=True, exist_ok=True)

    images = arguments.folder / "t10k-images-idx3-ubyte.gz"
    labels = idx(arguments.folder / "t10k-labels-idx1-ubyte.gz", 8).astype(int)
    x = torch.tensor(idx(images, 16).reshape(-1, 1, 28, 28))
    y = torch.tensor(labels)
    draws = {k: [few_shot(labels.tolist(), 10, k, seed)[0] for seed in range(arguments.draws)]
             for k in arguments.shots}
    features = embeddings(arguments.program, arguments.bundle, images)
    pretrained = auto(features, labels, draws)["auto"]

    path = DATA / "scratch.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    scratch, which = [], []
    print("| labels a class | pretrained, `auto` | from scratch | by the recipe |\n| --- | --- | --- | --- |")
    for k in arguments.shots:
        means = []
        for rate, augmented in RECIPES:
            accuracies = []
            for seed, chosen in enumerate(draws[k]):
                key = f"{k}, {seed}, {rate}, {augmented}, {arguments.steps}, {arguments.stages}"
                if key not in known:
                    known[key] = from_scratch(x, y, torch.tensor(chosen), arguments.stages, rate,
                                              augmented, arguments.steps, seed)
                    path.write_text(json.dumps(known, indent=1))
                accuracies.append(known[key])
            means.append(np.mean(accuracies))
        best = int(np.argmax(means))
        scratch.append(means[best])
        which.append(RECIPES[best])
        rate, augmented = which[-1]
        how = f"{rate}, {'views' if augmented else 'no views'}"
        print(f"| {k} | {pretrained[k]:.1f} | {means[best]:.1f} | {how} |", flush=True)

    print("\n| pretrained with | from scratch needs | times |\n| --- | --- | --- |")
    for k in arguments.shots:
        wanted = needed(pretrained[k], arguments.shots, scratch)
        cells = (f"{wanted:.1f}", f"{wanted / k:.1f}") if wanted else (
            f"more than {arguments.shots[-1]}", f"more than {arguments.shots[-1] / k:.1f}")
        print(f"| {k} | {cells[0]} | {cells[1]} |")
    picture(DATA / "scratch.svg", arguments.shots, {
        "pretrained without labels, head on it frozen": [pretrained[k] for k in arguments.shots],
        "the same network from scratch, best of four recipes": scratch,
    })
    print(f"\n{DATA / 'scratch.svg'}")


if __name__ == "__main__":
    main()
