"""Makes losses.json and optimizers.json: what PyTorch gives for the losses and optimizers.

All figures are computed in 64-bit floats; inputs are rounded to 32-bit floats first, so
that both types read the same numbers. Run: python make.py
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

HERE = Path(__file__).parent
torch.set_default_dtype(torch.float64)
generator = torch.Generator().manual_seed(4)


def draw(*shape, scale=1.0):
    return (scale * torch.randn(*shape, generator=generator)).float().double()


def array(tensor):
    return {"shape": list(tensor.shape), "values": tensor.detach().reshape(-1).tolist()}


# Losses, each as its paper or PyTorch states it.


def cross_entropy(x, labels, label_smoothing=0.0, ignored_label=-100):
    if bool((labels == ignored_label).all()):
        # PyTorch divides 0 by 0; the mean of no rows is 0 here.
        return (x * 0.0).sum()
    return F.cross_entropy(
        x, labels, label_smoothing=label_smoothing, ignore_index=ignored_label
    )


def huber(x, target, delta):
    return F.huber_loss(x, target, delta=delta)


def cosine(x, target):
    return (1 - (F.normalize(x) * F.normalize(target)).sum(1)).mean()


def scores(a, b, temperature):
    return F.normalize(a) @ F.normalize(b).T / temperature


def info_nce(a, b, temperature):
    return F.cross_entropy(scores(a, b, temperature), torch.arange(len(a)))


def multiple_negatives_ranking(a, b, scale):
    return (info_nce(a, b, 1 / scale) + info_nce(b, a, 1 / scale)) / 2


def nt_xent(a, b, temperature):
    both = torch.cat([a, b])
    found = scores(both, both, temperature)
    found = found.masked_fill(torch.eye(len(both), dtype=torch.bool), -torch.inf)
    return F.cross_entropy(found, torch.arange(len(both)).roll(len(a)))


def supervised_contrastive(x, labels, temperature):
    found = scores(x, x, temperature)
    rows = []
    for i, label in enumerate(labels):
        others = [j for j in range(len(x)) if j != i]
        same = [j for j in others if labels[j] == label]
        if same:
            norm = torch.logsumexp(found[i, others], 0)
            rows.append(-sum(found[i, j] - norm for j in same) / len(same))
    return torch.stack(rows).mean() if rows else (x * 0.0).sum()


def triplet(a, p, n, margin):
    distance = lambda a, b: torch.linalg.vector_norm(a - b, dim=-1)
    return F.triplet_margin_with_distance_loss(
        a, p, n, distance_function=distance, margin=margin
    )


def off_diagonal(matrix):
    return matrix - torch.diag(torch.diagonal(matrix))


def vicreg(a, b, invariance, variance, covariance):
    loss = invariance * F.mse_loss(a, b)
    for view in (a, b):
        centred = view - view.mean(0)
        # The unbiased variance; of one row it is taken as 0.
        less = max(len(view) - 1, 1)
        spread = torch.sqrt(centred.pow(2).sum(0) / less + 1e-4)
        loss = loss + variance * F.relu(1 - spread).mean() / 2
        matrix = centred.T @ centred / less
        loss = loss + covariance * off_diagonal(matrix).pow(2).sum() / view.shape[1]
    return loss


def barlow_twins(a, b, redundancy):
    norm = lambda x: F.batch_norm(x, None, None, training=True, eps=1e-5)
    matrix = norm(a).T @ norm(b) / len(a)
    on = (torch.diagonal(matrix) - 1).pow(2).sum()
    return on + redundancy * off_diagonal(matrix).pow(2).sum()


LOSSES = {
    "mean_squared_error": lambda x, target: F.mse_loss(x, target.expand_as(x)),
    **{
        function.__name__: function
        for function in (
            cross_entropy, huber, cosine, info_nce, multiple_negatives_ranking, nt_xent,
            supervised_contrastive, triplet, vicreg, barlow_twins,
        )
    },
}


def case(loss, name, *inputs, labels=None, **settings):
    leaves = [x.clone().requires_grad_() for x in inputs]
    extra = [] if labels is None else [torch.tensor(labels)]
    value = LOSSES[loss](*leaves, *extra, **settings)
    value.backward()
    return {
        "loss": loss,
        "name": name,
        "settings": settings,
        "inputs": [array(x) for x in inputs],
        "labels": labels,
        "value": value.item(),
        "gradients": [array(x.grad) for x in leaves],
    }


def losses():
    x, y, z = draw(5, 4), draw(5, 4), draw(5, 4)
    same = draw(1, 4).expand(5, 4).contiguous()
    zero = x.clone()
    zero[2] = 0
    exact = torch.tensor([[0.0, 0.5, -0.5], [1.5, -2.0, 0.25]])
    constant = x.clone()
    constant[:, 1] = 0.75
    of = [0, 3, 1, 3, 2]
    vic = {"invariance": 25.0, "variance": 25.0, "covariance": 1.0}
    return [
        case("cross_entropy", "plain", x, labels=of),
        case("cross_entropy", "ignored", x, labels=[0, -100, 1, -100, 2]),
        case("cross_entropy", "smoothed", x, labels=of, label_smoothing=0.1),
        case("cross_entropy", "smoothed, another ignored label", x, labels=[0, 3, -1, 3, -1],
             label_smoothing=0.25, ignored_label=-1),
        case("cross_entropy", "an ignored label that is a class", x, labels=of, ignored_label=3),
        case("cross_entropy", "all ignored", x, labels=[-100] * 5),
        case("cross_entropy", "large logits", draw(3, 4, scale=1e3), labels=[0, 1, 3]),
        case("mean_squared_error", "plain", x, y),
        case("mean_squared_error", "broadcast", x, draw(4)),
        case("huber", "plain", x, y, delta=0.5),
        case("huber", "on the edges", exact, torch.zeros(2, 3), delta=0.5),
        case("cosine", "plain", x, y),
        case("cosine", "identical rows", same, same),
        case("cosine", "a row of zeros", zero, y),
        case("info_nce", "plain", x, y, temperature=0.125),
        case("info_nce", "identical rows", same, y, temperature=0.125),
        case("info_nce", "one row", x[:1], y[:1], temperature=0.125),
        case("multiple_negatives_ranking", "plain", x, y, scale=16.0),
        case("multiple_negatives_ranking", "identical rows", same, same, scale=16.0),
        case("nt_xent", "plain", x, y, temperature=0.5),
        case("nt_xent", "identical rows", same, y, temperature=0.5),
        case("nt_xent", "one row", x[:1], y[:1], temperature=0.5),
        case("supervised_contrastive", "plain", x, labels=[0, 1, 0, 1, 1], temperature=0.125),
        case("supervised_contrastive", "a class of one row", x, labels=[7, 1, 7, 1, 3],
             temperature=0.125),
        case("supervised_contrastive", "no two rows of a class", x, labels=[0, 1, 2, 3, 4],
             temperature=0.125),
        case("supervised_contrastive", "identical rows", same, labels=[0, 1, 0, 1, 1],
             temperature=0.125),
        case("triplet", "plain", x, y, z, margin=1.0),
        case("triplet", "identical rows", x, x, y, margin=5.0),
        case("vicreg", "plain", x, y, **vic),
        case("vicreg", "identical rows", same, y, **vic),
        case("vicreg", "one row", x[:1], y[:1], **vic),
        case("barlow_twins", "plain", x, y, redundancy=5e-3),
        case("barlow_twins", "a constant feature", constant, y, redundancy=5e-3),
    ]


# Optimizers: five steps of mean((tanh(x w) + b - y)²) with rates that change.

RATES = [0.0625, 0.125, 0.125, 0.03125, 0.25]


class Lamb:
    """Algorithm 2 of arXiv:1904.00962."""

    def __init__(self, beta1, beta2, epsilon, weight_decay):
        self.numbers = beta1, beta2, epsilon, weight_decay
        self.moments = {}

    def step(self, name, p, g, rate, t):
        beta1, beta2, epsilon, decay = self.numbers
        m, v = self.moments.get(name, (np.zeros_like(p), np.zeros_like(p)))
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        self.moments[name] = m, v
        u = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + epsilon)
        u = u + (decay * p if p.ndim > 1 else 0)
        lengths = np.linalg.norm(p), np.linalg.norm(u)
        ratio = lengths[0] / lengths[1] if lengths[0] > 0 and lengths[1] > 0 else 1.0
        return p - rate * ratio * u


class Lars:
    """Algorithm 1 of arXiv:1708.03888; a tensor without decay has a rate of its own only
    when all adapt."""

    def __init__(self, momentum, trust, weight_decay, adapts_all=False):
        self.numbers = momentum, trust, weight_decay, adapts_all
        self.moments = {}

    def step(self, name, p, g, rate, t):
        momentum, trust, decay, adapts_all = self.numbers
        decay = decay if p.ndim > 1 else 0.0
        local = 1.0
        if adapts_all or p.ndim > 1:
            length = np.sqrt((p * p).sum())
            pull = np.sqrt((g * g).sum()) + decay * length
            local = trust * length / pull if length > 0 and pull > 0 else 1.0
        (v,) = self.moments.get(name, (np.zeros_like(p),))
        v = momentum * v + rate * local * (g + decay * p)
        self.moments[name] = (v,)
        return p - v


OWN = {"lamb": (Lamb, {"exp_avg": 0, "exp_avg_sq": 1}), "lars": (Lars, {"momentum": 0})}


def trained(name, optimizer, settings, start, batches, clip=None, average=None):
    w, b = (p.clone().requires_grad_() for p in start)
    groups = [{"params": [w]}, {"params": [b], "weight_decay": 0.0}]
    if optimizer == "sgd":
        made = torch.optim.SGD(groups, lr=1.0, **settings)
        names = {"momentum": "momentum_buffer"} if settings.get("momentum") else {}
    elif optimizer == "adamw":
        made = torch.optim.AdamW(
            groups, lr=1.0, betas=(settings["beta1"], settings["beta2"]),
            eps=settings["epsilon"], weight_decay=settings["weight_decay"],
        )
        names = {"exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq"}
    else:
        kind, names = OWN[optimizer]
        made = kind(**settings)
    steps, means = [], [p.clone() for p in start]
    for t, (rate, (x, y)) in enumerate(zip(RATES, batches), 1):
        w.grad = b.grad = None
        loss = F.mse_loss(torch.tanh(x @ w) + b, y)
        loss.backward()
        most = torch.inf if clip is None else clip
        norm = torch.nn.utils.clip_grad_norm_([w, b], most)
        if optimizer in OWN:
            with torch.no_grad():
                for key, p in (("w", w), ("b", b)):
                    p.copy_(torch.from_numpy(made.step(key, p.numpy(), p.grad.numpy(), rate, t)))
        else:
            for group in made.param_groups:
                group["lr"] = rate
            made.step()
        if average is not None:
            means = [average * m + (1 - average) * p.detach() for m, p in zip(means, (w, b))]
        steps.append({"loss": loss.item(), "norm": norm.item()})
    state = {"w": array(w), "b": array(b)}
    for key, p, mean in (("w", w, means[0]), ("b", b, means[1])):
        for suffix, at in names.items():
            kept = made.moments[key][at] if optimizer in OWN else made.state[p][at]
            state[f"{key}.{suffix}"] = array(torch.as_tensor(kept))
        if average is not None:
            state[f"{key}.average"] = array(mean)
    return {
        "name": name, "optimizer": optimizer, "settings": settings, "clip": clip,
        "average": average, "steps": steps, "state": state,
    }


def optimizers():
    start = [draw(3, 2), draw(2)]
    batches = [(draw(n, 3), draw(n, 2, scale=2.0)) for n in (4, 4, 1, 6, 4)]
    adam = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.0}
    lars = {"momentum": 0.9, "trust": 0.25, "weight_decay": 0.0}
    decayed = {**adam, "weight_decay": 0.1}
    zero = [torch.zeros(3, 2), start[1]]
    run = lambda *args, start=start, **more: trained(*args, start, batches, **more)
    cases = [
        run("plain", "sgd", {}),
        run("momentum", "sgd", {"momentum": 0.9}),
        run("nesterov", "sgd", {"momentum": 0.9, "nesterov": True}),
        run("decay", "sgd", {"momentum": 0.5, "weight_decay": 0.1}),
        run("clipped", "sgd", {"momentum": 0.9}, clip=0.5),
        run("plain", "adamw", adam),
        run("decay", "adamw", decayed),
        run("clipped and averaged", "adamw", decayed, clip=0.5, average=0.75),
        run("plain", "lamb", {**adam, "epsilon": 1e-6}),
        run("decay", "lamb", {**decayed, "epsilon": 1e-6}),
        run("decay, clipped and averaged", "lamb", {**decayed, "epsilon": 1e-6}, clip=0.5,
            average=0.75),
        run("plain", "lars", lars),
        run("decay", "lars", {**lars, "weight_decay": 0.1}),
        run("all adapt", "lars", {**lars, "weight_decay": 0.1, "adapts_all": True}),
        run("decay, clipped and averaged", "lars", {**lars, "weight_decay": 0.1}, clip=0.5,
            average=0.75),
    ]
    degenerate = [
        run("weights of zeros", "lamb", {**adam, "epsilon": 1e-6}, start=zero),
        run("weights of zeros", "lars", {**lars, "weight_decay": 0.1}, start=zero),
    ]
    return {
        "rates": RATES,
        "batches": [{"x": array(x), "y": array(y)} for x, y in batches],
        "w": array(start[0]), "b": array(start[1]), "cases": cases, "from_zeros": degenerate,
    }


if __name__ == "__main__":
    for name, made in (("losses", losses()), ("optimizers", optimizers())):
        (HERE / f"{name}.json").write_text(json.dumps(made, separators=(",", ":")) + "\n")
