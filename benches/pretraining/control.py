"""The same encoder, objective and recipe as `offshoot pretrain` on Fashion-MNIST in PyTorch,
for as many minutes, and its figures by `few_shot.py`: what a pretrained encoder is held against.

    python benches/pretraining/control.py FOLDER --minutes 15 [--device cuda] [--bf16]

Views are drawn on the device for a whole batch at once, which is faster than by worker
processes. `--encoder shift-mixer` is the product-and-shift network, `vision-transformer` a
transformer of `--width` and `--layers`.
"""

import argparse
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from few_shot import SHOTS, few_shot, idx, nearest_neighbors
from torch import nn


def shifted(x):
    a, b, c, d = x.chunk(4, -1)
    a = torch.cat([a[:, :1], a[:, :-1]], 1)
    b = torch.cat([b[:, 1:], b[:, -1:]], 1)
    c = torch.cat([c[:, :, :1], c[:, :, :-1]], 2)
    d = torch.cat([d[:, :, 1:], d[:, :, -1:]], 2)
    return torch.cat([a, b, c, d], -1)


class Block(nn.Module):
    def __init__(self, width, expansion=2):
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.enter, self.leave = nn.Linear(width, width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, expansion * width), nn.Linear(expansion * width, width)

    def forward(self, x):
        x = x + self.leave(shifted(F.relu(self.enter(self.norms[0](x)))))
        return x + self.down(F.relu(self.up(self.norms[1](x))))


def patches(x, side):
    n, h, w, c = x.shape
    x = x.reshape(n, h // side, side, w // side, side, c).permute(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h // side, w // side, side * side * c)


class ShiftMixer(nn.Module):
    def __init__(self, stages=(64, 128), blocks=(2, 2)):
        super().__init__()
        self.merges, self.norms, self.stages = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        numbers = 16
        for i, (width, count) in enumerate(zip(stages, blocks)):
            self.norms.append(nn.LayerNorm(numbers) if i else nn.Identity())
            self.merges.append(nn.Linear(numbers, width))
            self.stages.append(nn.Sequential(*[Block(width) for _ in range(count)]))
            numbers = 4 * width
        self.positions = nn.Parameter(0.02 * torch.randn(7, 7, stages[0]))
        self.norm, self.width = nn.LayerNorm(stages[-1]), stages[-1]

    def forward(self, x):
        x = patches(x, 4)
        for i, (norm, merge, stage) in enumerate(zip(self.norms, self.merges, self.stages)):
            if i:
                x = patches(F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2)), 2)
            x = merge(norm(x))
            x = stage(x if i else x + self.positions)
        return self.norm(x).mean((1, 2))


class VisionTransformer(nn.Module):
    def __init__(self, width, layers, hidden):
        super().__init__()
        self.embed, self.width = nn.Linear(16, width), width
        self.positions = nn.Parameter(0.02 * torch.randn(49, width))
        heads = width // 32
        layer = nn.TransformerEncoderLayer(
            width, heads, hidden, 0.0, F.gelu, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        x = self.embed(patches(x, 4).flatten(1, 2)) + self.positions
        return self.norm(self.layers(x)).mean(1)


def uniform(n, low, high, device):
    return low + (high - low) * torch.rand(n, device=device)


def views(x):
    """Crops of 40 to 100 % of the area, flips, affine changes, brightness, contrast, blur and
    cut-out, as the program's own for grey shapes. `x` is `[n, 1, 28, 28]` of 0 to 1."""
    n, device = len(x), x.device
    area = uniform(n, 0.4, 1.0, device)
    ratio = torch.exp(uniform(n, math.log(0.75), math.log(4 / 3), device))
    w, h = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    affine = (torch.rand(n, device=device) < 0.5).float()
    angle = affine * uniform(n, -0.17, 0.17, device)
    shear = affine * uniform(n, -0.1, 0.1, device)
    scale = 1 + affine * uniform(n, -0.1, 0.1, device)
    move = affine[:, None] * (0.12 * torch.rand(n, 2, device=device) - 0.06) * 2
    flip = 1 - 2 * (torch.rand(n, device=device) < 0.5).float()
    centre = (2 * torch.rand(n, 2, device=device) - 1) * torch.stack([1 - w, 1 - h], 1)
    theta = torch.zeros(n, 2, 3, device=device)
    theta[:, 0, 0], theta[:, 0, 1] = flip * w * scale * angle.cos(), h * (shear - angle.sin())
    theta[:, 1, 0], theta[:, 1, 1] = flip * w * angle.sin(), h * scale * angle.cos()
    theta[:, :, 2] = centre + move
    x = F.grid_sample(x, F.affine_grid(theta, x.shape, align_corners=False), align_corners=False)
    strong = (torch.rand(n, device=device) < 0.8).float()
    bright = (1 + strong * uniform(n, -0.4, 0.4, device)).view(-1, 1, 1, 1)
    x = (x * bright).clamp(0, 1)
    contrast = (1 + strong * uniform(n, -0.4, 0.4, device)).view(-1, 1, 1, 1)
    mean = x.mean((1, 2, 3), keepdim=True)
    x = ((x - mean) * contrast + mean).clamp(0, 1)
    kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]], device=device).view(1, 1, 3, 3) / 16
    soft = (torch.rand(n, device=device) < 0.3).view(-1, 1, 1, 1)
    x = torch.where(soft, F.conv2d(x, kernel, padding=1), x)
    side = 28 * uniform(n, 0.02, 0.15, device).sqrt()
    cut = (torch.rand(n, device=device) < 0.3).float() * side
    place = torch.arange(28, device=device)
    at = 28 * torch.rand(n, 2, device=device)
    rows = (place - at[:, :1]).abs() < cut[:, None] / 2
    columns = (place - at[:, 1:]).abs() < cut[:, None] / 2
    return x.masked_fill((rows[:, :, None] & columns[:, None, :]).unsqueeze(1), 0.0)


def nt_xent(z, temperature=0.2):
    z = F.normalize(z, dim=1)
    n = len(z) // 2
    cosines = (z @ z.T / temperature).fill_diagonal_(-1e9)
    target = torch.cat([torch.arange(n, 2 * n), torch.arange(n)]).to(z.device)
    return F.cross_entropy(cosines, target)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--encoder", default="shift-mixer")
    parser.add_argument("--stages", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)

    sets = {}
    for part in ("train", "t10k"):
        images = idx(arguments.folder / f"{part}-images-idx3-ubyte.gz", 16)
        images = torch.tensor(images.reshape(-1, 1, 28, 28)).to(device)
        sets[part] = (images, idx(arguments.folder / f"{part}-labels-idx1-ubyte.gz", 8))
    train = sets["train"][0]
    if arguments.encoder == "shift-mixer":
        encoder = ShiftMixer(arguments.stages)
    else:
        encoder = VisionTransformer(arguments.width, arguments.layers, arguments.hidden)
    encoder = encoder.to(device)
    width = encoder.width
    projector = nn.Sequential(
        nn.Linear(width, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 128)
    ).to(device)
    parameters = [*encoder.parameters(), *projector.parameters()]
    print(sum(p.numel() for p in encoder.parameters()), "weights")
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.dim() > 1], "weight_decay": 0.05},
            {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
        ],
        lr=arguments.rate,
        fused=device.type == "cuda",
    )
    mean, deviation = 0.286, 0.353

    def embed(x):
        return encoder(((x - mean) / deviation).permute(0, 2, 3, 1))

    def step(rate):
        chosen = torch.randint(len(train), (arguments.batch,), device=device)
        x = train[chosen].float() / 255
        both = torch.cat([views(x), views(x)])
        with torch.autocast(device.type, torch.bfloat16, enabled=arguments.bf16):
            loss = nt_xent(projector(embed(both)).float())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        return loss

    start, steps, loss = time.time(), 0, None
    while (share := (time.time() - start) / (60 * arguments.minutes)) < 1:
        rate = arguments.rate * min(share / 0.05, 0.5 * (1 + math.cos(math.pi * share)))
        loss = step(rate)
        if steps % 20 == 0:
            loss.item()
        steps += 1
    print(f"{steps} steps, loss {loss.item():.3f}", flush=True)

    encoder.eval()
    parts = []
    with torch.no_grad():
        for images, labels in sets.values():
            made = [embed(part.float() / 255).cpu() for part in images.split(1000)]
            parts += [torch.cat(made).numpy(), labels]
    figures = [few_shot(*parts, shots, 5) for shots in SHOTS] + [nearest_neighbors(*parts)]
    print("PyTorch | " + " | ".join(f"{figure:.1f}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
