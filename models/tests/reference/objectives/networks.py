"""The encoders, written with PyTorch's own layers."""

import numpy as np
import torch
import torch.nn.functional as F

GOLDEN = 0x9E3779B97F4A7C15
EPSILON = 1e-5


def mix(z):
    """SplitMix64's mixing of 64 bits."""
    with np.errstate(over="ignore"):
        z = np.asarray(z, dtype=np.uint64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def numbers(name, *shape):
    """Numbers from -1 to below 1 that depend on the name alone."""
    state = np.uint64(0)
    for byte in name.encode():
        state = mix(state ^ np.uint64(byte))
    with np.errstate(over="ignore"):
        count = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64)
        drawn = mix(state + count * np.uint64(GOLDEN)) >> np.uint64(40)
    return drawn.astype(np.float64).reshape(shape) / 2**23 - 1


def weight(name, *shape):
    """The value of a weight, as float32 holds it."""
    drawn = numbers(name, *shape)
    name = name.removesuffix(".average")
    if name.endswith("norm.weight"):
        drawn = 1 + 0.2 * drawn
    elif name.endswith(".bias"):
        drawn = 0.1 * drawn
    else:
        drawn = 0.5 * drawn
    return torch.from_numpy(drawn.astype(np.float32).astype(np.float64))


class Net:
    """Weights by name: those that were asked for are kept, to ask for their gradients."""

    def __init__(self, prefix="", suffix="", made=None):
        self.prefix, self.suffix = prefix, suffix
        self.made = {} if made is None else made

    def __call__(self, name, *shape):
        name = self.prefix + name + self.suffix
        if name not in self.made:
            self.made[name] = weight(name, *shape).requires_grad_(not self.suffix)
        return self.made[name]

    def prefixed(self, prefix):
        return Net(prefix, self.suffix, self.made)

    def linear(self, name, x, outputs, bias=True):
        y = x @ self(f"{name}.weight", x.shape[-1], outputs)
        return y + self(f"{name}.bias", outputs) if bias else y

    def layer_norm(self, name, x):
        width = x.shape[-1]
        scale, bias = self(f"{name}.weight", width), self(f"{name}.bias", width)
        return F.layer_norm(x, (width,), scale, bias, EPSILON)

    def batch_norm(self, name, x):
        width = x.shape[-1]
        scale, bias = self(f"{name}.weight", width), self(f"{name}.bias", width)
        return F.batch_norm(x, None, None, scale, bias, training=True, eps=EPSILON)

    def group_norm(self, name, x):
        width = x.shape[1]
        scale, bias = self(f"{name}.weight", width), self(f"{name}.bias", width)
        return F.group_norm(x, width // 8, scale, bias, EPSILON)

    def feed_forward(self, name, x, hidden):
        up = F.gelu(self.linear(f"{name}.up", x, hidden), approximate="tanh")
        return self.linear(f"{name}.down", up, x.shape[-1])

    def projector(self, name, x, widths):
        """Linear, batch normalisation and ReLU; the last linear with a bias instead."""
        for layer, width in enumerate(widths):
            last = layer + 1 == len(widths)
            x = self.linear(f"{name}.{layer}", x, width, bias=last)
            if not last:
                x = F.relu(self.batch_norm(f"{name}.{layer}.norm", x))
        return x


def rotated(x):
    """Rotary embedding of `[batch, heads, tokens, size]`: element i and i + size/2 are the real
    and the imaginary part of a number that is turned by position · 10000^(-2i/size)."""
    half = x.shape[-1] // 2
    turns = torch.arange(x.shape[2], dtype=x.dtype)[:, None] * 10000.0 ** (
        -torch.arange(half, dtype=x.dtype) / half
    )
    z = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(turns), turns)
    return torch.cat([z.real, z.imag], -1)


def transformer(net, name, x, layers, heads, hidden, sees=None, rotary=False, factors=None):
    """Layers with the normalisation first; `sees` is true where a token sees another."""
    batch, tokens, width = x.shape
    dropped = lambda y, at: y if factors is None else y * factors[:, at : at + 1]
    for layer in range(layers):
        here = f"{name}.{layer}"
        y = net.layer_norm(f"{here}.attention.norm", x)
        qkv = net.linear(f"{here}.attention.qkv", y, 3 * width)
        q, k, v = qkv.view(batch, tokens, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        if rotary:
            q, k = rotated(q), rotated(k)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=sees)
        y = y.transpose(1, 2).reshape(batch, tokens, width)
        x = x + dropped(net.linear(f"{here}.attention.out", y, width), 2 * layer)
        y = net.layer_norm(f"{here}.mlp.norm", x)
        x = x + dropped(net.feed_forward(f"{here}.mlp", y, hidden), 2 * layer + 1)
    return net.layer_norm(f"{name}.norm", x)


def tokens(net, a, ids, mask, factors=None):
    """Vectors of the tokens, and the mean over those that are no padding."""
    width, count = a["width"], ids.shape[1]
    x = F.embedding(ids, net("tokens.weight", a["vocabulary"], width))
    window = a["window"]
    if window > 1:
        # A convolution over the tokens that are no padding.
        before = window - 1 if a["causal"] else window // 2
        around = F.pad((x * mask[:, :, None]).transpose(1, 2), (before, window - 1 - before))
        kernel = net("window.up.weight", window * width, a["hidden"])
        kernel = kernel.view(window, width, a["hidden"]).permute(2, 1, 0)
        y = F.conv1d(around, kernel, net("window.up.bias", a["hidden"])).transpose(1, 2)
        x = x + net.linear("window.down", F.relu(y), width)
    rotary = a["positions"] == "rotary"
    if not rotary:
        x = x + net("positions.weight", a["max_tokens"], width)[:count]
    x = net.layer_norm("embedding.norm", x)
    if factors is not None:
        x, factors = x * factors[:, :1], factors[:, 1:]
    sees = mask.bool()[:, None, None, :]
    if a["causal"]:
        sees = sees & torch.ones(count, count).tril().bool()
    x = transformer(net, "layers", x, a["layers"], a["heads"], a["hidden"], sees, rotary, factors)
    real = mask[:, :, None].to(x.dtype)
    return x, (x * real).sum(1) / real.sum(1)


def normalized(a, x):
    """Channels first."""
    mean = torch.tensor(a["normalization"]["mean"], dtype=torch.float64)
    deviation = torch.tensor(a["normalization"]["deviation"], dtype=torch.float64)
    if len(a["size"]) == 3:
        return ((x.double() - mean) / deviation).permute(0, 3, 1, 2)
    return (x.double() - mean[:, None]) / deviation[:, None]


def patch_vectors(net, a, x):
    """Patches by a convolution whose stride is its window, with their positions."""
    p, width, channels = a["patch"], a["layers"]["width"], x.shape[1]
    if x.dim() == 4:
        kernel = net("patches.weight", p * p * channels, width).view(p, p, channels, width)
        y = F.conv2d(x, kernel.permute(3, 2, 0, 1), net("patches.bias", width), stride=p)
    else:
        kernel = net("patches.weight", channels * p, width).view(channels, p, width)
        y = F.conv1d(x, kernel.permute(2, 0, 1), net("patches.bias", width), stride=p)
    y = y.flatten(2).transpose(1, 2)
    return y + net("positions.weight", y.shape[1], width)


def patches(net, a, x, kept=None):
    """Transformer over patches; of each row only those of the numbers `kept`."""
    sizes = a["layers"]
    y = patch_vectors(net, a, normalized(a, x))
    if kept is not None:
        y = y.gather(1, kept[:, :, None].expand(-1, -1, y.shape[-1]))
    y = transformer(net, "layers", y, sizes["layers"], sizes["heads"], sizes["hidden"])
    return y, y.mean(1)


def residual(net, a, x):
    """Residual network in one or two dimensions."""
    x = normalized(a, x)
    window = a.get("window", 3)
    conv = F.conv2d if x.dim() == 4 else F.conv1d
    rank = x.dim() - 2

    def convolution(name, x, outputs, window, stride=1):
        kernel = net(f"{name}.weight", outputs, x.shape[1], *[window] * rank)
        return conv(x, kernel, stride=stride, padding=window // 2)

    x = F.relu(net.group_norm("stem.norm", convolution("stem", x, a["stages"][0], window)))
    for stage, width in enumerate(a["stages"]):
        for block in range(a["blocks"]):
            name = f"stages.{stage}.{block}"
            stride = 2 if stage > 0 and block == 0 else 1
            y = convolution(f"{name}.1", x, width, window, stride)
            y = F.relu(net.group_norm(f"{name}.1.norm", y))
            y = net.group_norm(f"{name}.2.norm", convolution(f"{name}.2", y, width, window))
            if stride > 1 or x.shape[1] != width:
                x = convolution(f"{name}.skip", x, width, 1, stride)
            x = F.relu(x + y)
    x = x.flatten(2).transpose(1, 2)
    return x, x.mean(1)


def shift_mixer(net, a, x):
    """Products and shifts; places `[batch, rows, columns, width]`."""
    x = normalized(a, x)
    p = a["patch"]

    def merged(x, p):
        """Squares of p by p places, their numbers in the order row, column, channel."""
        n, c, h, w = x.shape
        y = F.pixel_unshuffle(x, p).view(n, c, p * p, h // p, w // p)
        return y.permute(0, 3, 4, 2, 1).flatten(3)

    for stage, (width, blocks) in enumerate(zip(a["stages"], a["blocks"])):
        if stage == 0:
            x = net.linear("merge.0", merged(x, p), width)
            x = x + net("positions.weight", x.shape[1], x.shape[2], width)
        else:
            x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
            x = merged(x.permute(0, 3, 1, 2), 2)
            x = net.linear(f"merge.{stage}", net.layer_norm(f"merge.{stage}.norm", x), width)
        for block in range(blocks):
            name = f"stages.{stage}.{block}"
            y = net.layer_norm(f"{name}.mix.norm", x)
            y = F.relu(net.linear(f"{name}.mix.in", y, width))
            rows, columns = torch.arange(x.shape[1]), torch.arange(x.shape[2])
            a1, a2, a3, a4 = y.split([width // 4] * 3 + [width - width // 4 * 3], -1)
            y = torch.cat(
                [
                    a1[:, (rows - 1).clamp(min=0)],
                    a2[:, (rows + 1).clamp(max=len(rows) - 1)],
                    a3[:, :, (columns - 1).clamp(min=0)],
                    a4[:, :, (columns + 1).clamp(max=len(columns) - 1)],
                ],
                -1,
            )
            x = x + net.linear(f"{name}.mix.out", y, width)
            y = net.layer_norm(f"{name}.mlp.norm", x)
            y = F.relu(net.linear(f"{name}.mlp.up", y, a["expansion"] * width))
            x = x + net.linear(f"{name}.mlp.down", y, width)
    x = net.layer_norm("norm", x).flatten(1, 2)
    return x, x.mean(1)


def encode(net, a, inputs):
    """Vectors of the parts of an input, and the embedding."""
    family = a["family"]
    if family == "token-transformer":
        factors = inputs.get("dropout")
        return tokens(net, a, inputs["input_ids"], inputs["attention_mask"], factors)
    x = inputs["pixels"] if "pixels" in inputs else inputs["signals"]
    made = {"residual-network": residual, "signal-network": residual, "shift-mixer": shift_mixer}
    return made.get(family, patches)(net, a, x)
