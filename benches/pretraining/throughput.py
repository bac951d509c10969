"""Tokens, windows and images a second of a pretraining step, augmentation and the reading of the
data included, beside the same network and objective in PyTorch eager on the same cores, in turns.

    python benches/few_shot/prepare.py movies fashion && python benches/pretraining/prepare.py movies motions
    cargo build --release
    python benches/pretraining/throughput.py [tokens windows images] --rounds 5

Here a run of `--steps` steps is timed from its TensorBoard file, from step 10 to the last but one,
so that start and figures are left out and waiting for views is not; `--threads` compute and one more
thread draws views. In PyTorch as many steps are timed after 10 others, with `--threads` threads; its
views are drawn for a whole batch at once, its texts are tokenised beforehand, and its AdamW is the
fused one, all of which favours it.

tokens     masked-token on the movie texts, transformer of 4 layers of 128, rotary positions, batch
           64; counted are tokens of texts, no padding
windows    simclr on BasicMotions, 6 channels of 100 steps, residual convolutions of 32, 64 and 128
           channels, batch 64; counted are windows, each of two views
images     simclr on Fashion-MNIST, shift-mixer of 64 and 128, batch 128; counted are images, each
           of two views

About 6 minutes on two quiet cores with 5 rounds of 60 steps.
"""

import argparse
import json
import math
import statistics
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from compare import DATA, ROOT, signals
from control import ShiftMixer, nt_xent, uniform, views
from few_shot import idx
from torch import nn

FASHION = ROOT / "target/bench/few_shot/downloads/fashion/usr/share/datasets/fashion-mnist"
WARM = 10


class Layer(nn.Module):
    """A transformer's layer, normalisation first, with rotary positions."""

    def __init__(self, width, heads, hidden):
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x, sees, turns):
        n, t, width = x.shape
        qkv = self.qkv(self.norms[0](x)).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        cos, sin = turns

        def rotated(y):
            a, b = y.chunk(2, -1)
            return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)

        y = F.scaled_dot_product_attention(rotated(qkv[0]), rotated(qkv[1]), qkv[2], attn_mask=sees)
        x = x + self.out(y.transpose(1, 2).reshape(n, t, width))
        return x + self.down(F.gelu(self.up(self.norms[1](x)), approximate="tanh"))


class Masked(nn.Module):
    """A transformer over tokens with scores of the hidden ones by the token table."""

    def __init__(self, vocabulary, width=128, layers=4, heads=4, hidden=512):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.table.weight, std=0.02)
        self.norm, self.last = nn.LayerNorm(width), nn.LayerNorm(width)
        self.layers = nn.ModuleList([Layer(width, heads, hidden) for _ in range(layers)])
        self.transform, self.head_norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.bias, self.half = nn.Parameter(torch.zeros(vocabulary)), width // heads // 2

    def forward(self, ids, mask, positions):
        x = self.norm(self.table(ids))
        rates = 10000.0 ** (-torch.arange(self.half) / self.half)
        turns = torch.arange(ids.shape[1])[:, None] * rates
        for layer in self.layers:
            x = layer(x, mask[:, None, None, :], (turns.cos(), turns.sin()))
        x = self.last(x).flatten(0, 1)[positions]
        x = self.head_norm(F.gelu(self.transform(x), approximate="tanh"))
        return x @ self.table.weight.T + self.bias


class Convolutions(nn.Module):
    """Residual convolutions in one dimension with group normalisation."""

    def __init__(self, channels, stages=(32, 64, 128), window=7):
        super().__init__()
        conv = lambda i, o, w, s=1: nn.Conv1d(i, o, w, s, w // 2, bias=False)
        norm = lambda width: nn.GroupNorm(width // 8, width)
        self.stem, self.blocks, width = nn.Sequential(conv(channels, stages[0], window), norm(stages[0]),
                                                      nn.ReLU()), nn.ModuleList(), stages[0]
        for stage, wide in enumerate(stages):
            stride = 2 if stage else 1
            straight = nn.Sequential(conv(width, wide, window, stride), norm(wide), nn.ReLU(),
                                     conv(wide, wide, window), norm(wide))
            skip = conv(width, wide, 1, stride) if stage else nn.Identity()
            self.blocks.append(nn.ModuleList([straight, skip]))
            width = wide
        self.width = width

    def forward(self, x):
        x = self.stem(x)
        for straight, skip in self.blocks:
            x = F.relu(skip(x) + straight(x))
        return x.mean(2)


def curve(n, length, knots=4):
    """Smooth curves through normal numbers."""
    return F.interpolate(torch.randn(n, 1, knots), length, mode="linear", align_corners=True)[:, 0]


def signal_views(x):
    """Crops of 60 to 100 %, warps of time and magnitude, scaling, jitter, channels left out and a
    part hidden, as the program's own for sensors. `x` is `[n, channels, length]`, normalised."""
    n, channels, length = x.shape
    shown = length * uniform(n, 0.6, 1.0, x.device)[:, None]
    start = torch.rand(n, 1) * (length - shown)
    speeds = (0.2 * curve(n, length)).exp()
    passed = speeds.cumsum(1) - 0.5 * speeds
    places = start + passed / speeds.sum(1, keepdim=True) * shown - 0.5
    places = places.clamp(0, length - 1)
    low = places.floor().long().clamp(max=length - 2)
    part = (places - low)[:, None, :]
    low = low[:, None, :].expand(-1, channels, -1)
    x = x.gather(2, low) * (1 - part) + x.gather(2, low + 1) * part
    x = x * (1 + 0.2 * torch.randn(n, channels, 1))
    x = x * (1 + 0.15 * curve(n * channels, length).view(n, channels, length))
    x = x + 0.1 * torch.randn_like(x)
    dropped = torch.rand(n, channels) < 0.1
    dropped[torch.arange(n), torch.randint(channels, (n,))] = False
    wide = length * uniform(n, 0.05, 0.2, x.device) * (torch.rand(n) < 0.3)
    begin = torch.rand(n) * (length - wide)
    at = torch.arange(length)
    hidden = (at >= begin[:, None]) & (at < (begin + wide)[:, None])
    return x.masked_fill(dropped[:, :, None] | hidden[:, None, :], 0.0)


def simclr(encoder, drawn):
    """A step's loss of NT-Xent on two views behind the projector."""
    projector = nn.Sequential(nn.Linear(encoder.width, 512, bias=False), nn.BatchNorm1d(512), nn.ReLU(),
                              nn.Linear(512, 128))
    return nn.ModuleList([encoder, projector]), lambda: nt_xent(projector(encoder(drawn())))


def images():
    x = torch.tensor(idx(FASHION / "train-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28))

    def drawn():
        rows = x[torch.randint(len(x), (128,))].float() / 255
        both = torch.cat([views(rows), views(rows)])
        return ((both - 0.286) / 0.353).permute(0, 2, 3, 1)

    return FASHION / "train-images-idx3-ubyte.gz", ["--objective", "simclr"], 128, 1, \
        lambda _: simclr(ShiftMixer(), drawn)


def windows():
    x = torch.tensor(signals("motions")[2], dtype=torch.float32)

    def drawn():
        rows = x[torch.randint(len(x), (64,))]
        return torch.cat([signal_views(rows), signal_views(rows)])

    return DATA / "motions.ts", ["--objective", "simclr"], 64, 1, \
        lambda _: simclr(Convolutions(x.shape[1]), drawn)


def texts():
    import csv
    rows = [row["text"] for row in csv.DictReader(open(DATA / "movies.csv", newline="", encoding="utf-8"))]

    def control(folder):
        """On the texts in the tokens that the program's run has."""
        from tokenizers import Tokenizer
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.enable_truncation(64)
        ids = [encoding.ids for encoding in tokenizer.encode_batch(rows)]
        model, hide = Masked(tokenizer.get_vocab_size()), tokenizer.token_to_id("[MASK]")
        lengths = torch.tensor([len(row) for row in ids])
        table = nn.utils.rnn.pad_sequence([torch.tensor(row) for row in ids], batch_first=True)
        control.tokens = lengths.double().mean().item()

        def loss():
            chosen = torch.randint(len(ids), (64,))
            width = int(lengths[chosen].max())
            batch = table[chosen, :width]
            real = torch.arange(width) < lengths[chosen][:, None]
            # 15 % of the ordinary tokens, of which 80 % are hidden and 10 % changed.
            asked = (torch.rand(batch.shape) < 0.15) & (batch > 4)
            positions, fate = asked.flatten().nonzero()[:, 0], torch.rand(batch.shape)
            labels = batch.flatten()[positions]
            batch = torch.where(asked & (fate < 0.8), hide, batch)
            other = torch.randint(5, model.table.num_embeddings, batch.shape)
            batch = torch.where(asked & (fate >= 0.8) & (fate < 0.9), other, batch)
            return F.cross_entropy(model(batch, real, positions), labels)

        return model, loss

    return DATA / "movies.csv", ["--objective", "masked-token"], 64, control, control


KINDS = {"tokens": texts, "windows": windows, "images": images}


def here(program, data, options, batch, steps, threads, folder):
    """Examples a second of the program."""
    output = folder / "x.offshoot"
    subprocess.run([program, "pretrain", data, *options, "--batch", str(batch), "--steps", str(steps),
                    "--figures-every", str(steps), "--threads", str(threads), "-o", output, "--force"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run = output.with_suffix(".run")
    read = next(run.glob("events.out.tfevents.*")).read_bytes()
    times, at = [], 0
    while at < len(read):
        length = struct.unpack_from("<Q", read, at)[0]
        # A message begins with the time; the first one tells the version.
        times.append(struct.unpack_from("<d", read, at + 13)[0])
        at += 16 + length
    times = times[1:]
    assert len(times) == steps
    return (steps - 1 - WARM) * batch / (times[-2] - times[WARM - 1])


def there(model, loss, batch, steps):
    """Examples a second of PyTorch."""
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW([
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": 0.05},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ], lr=1e-3, fused=True)
    for step in range(steps):
        if step == WARM:
            start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        found = loss()
        found.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    assert math.isfinite(found.item())
    return (steps - WARM) * batch / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}; all unless told")
    parser.add_argument("--program", default=ROOT / "target/release/offshoot")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.steps < WARM + 3:
        parser.error(f"at least {WARM + 3} steps")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    print("| a second | here | PyTorch eager | ratio, median of rounds | all ratios |\n"
          "| --- | --- | --- | --- | --- |")
    for kind in arguments.kinds or KINDS:
        data, options, batch, unit, control = KINDS[kind]()
        ours, theirs = [], []
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            for number in range(arguments.rounds):
                ours.append(here(arguments.program, data, options, batch, arguments.steps,
                                 arguments.threads, folder))
                if number == 0:
                    model, loss = control(folder / "x.run")
                theirs.append(there(model, loss, batch, arguments.steps))
        # Texts are counted by their tokens.
        unit = unit if isinstance(unit, int) else unit.tokens
        ratios = [a / b for a, b in zip(ours, theirs)]
        print(f"| {kind} | {unit * statistics.median(ours):,.0f} | {unit * statistics.median(theirs):,.0f} "
              f"| {statistics.median(ratios):.2f} | {', '.join(f'{r:.2f}' for r in ratios)} |", flush=True)


if __name__ == "__main__":
    main()
