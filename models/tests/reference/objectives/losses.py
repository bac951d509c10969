"""The objectives, written with PyTorch's own losses.

Each takes the weights, the encoder's sizes, the inputs, which it may add to, and a source of
numbers from -1 to 1; `PROJECTOR` and the like are the sizes that the test sets.
"""

import torch
import torch.nn.functional as F
from networks import Net, encode, patches, transformer

PROJECTOR = [12, 8]


def token_scores(net, name, width, vectors):
    """Scores of the vocabulary by the token table."""
    y = F.gelu(net.linear(f"{name}.transform", vectors, width), approximate="tanh")
    table = net.made[net.prefix + "tokens.weight"]
    y = net.layer_norm(f"{name}.norm", y) @ table.T
    return y + net(f"{name}.bias", table.shape[0])


def hide(inputs, number):
    """Hides the second and the last token of each row; gives their flat places and ids."""
    ids = inputs["input_ids"].clone()
    last = inputs["attention_mask"].sum(1) - 1
    chosen = torch.zeros_like(ids).bool()
    chosen[:, 1] = True
    chosen[torch.arange(len(ids)), last] = True
    places = chosen.flatten().nonzero().flatten()
    labels = ids.flatten()[places]
    inputs["input_ids"] = ids.masked_fill(chosen, 1)
    inputs["positions"], inputs["labels"] = places, labels
    return chosen, ids


def masked_token(net, a, inputs, number):
    chosen, _ = hide(inputs, number)
    vectors, _ = encode(net, a, inputs)
    scores = token_scores(net, "masked-token.head", a["width"], vectors[chosen])
    return F.cross_entropy(scores, inputs["labels"])


def autoregressive(net, a, inputs, number):
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    vectors, _ = encode(net, a, inputs)
    scores = token_scores(net, "autoregressive.head", a["width"], vectors)
    targets = ids.masked_fill(mask == 0, -100)[:, 1:]
    loss = F.cross_entropy(scores[:, :-1].transpose(1, 2), targets, ignore_index=-100)
    has = (targets != -100).nonzero()
    inputs["positions"] = has[:, 0] * ids.shape[1] + has[:, 1]
    inputs["labels"] = targets[targets != -100]
    return loss


def replaced_token(net, a, inputs, number):
    chosen, real = hide(inputs, number)
    uniform = (number("uniform", len(inputs["labels"])) + 1) / 2
    inputs["uniform"] = uniform.float().double()
    half = dict(a, width=a["width"] // 2, heads=a["heads"] // 2, hidden=a["hidden"] // 2,
                layers=a["layers"] // 2)
    generator = net.prefixed("replaced-token.generator.")
    vectors, _ = encode(generator, half, inputs)
    scores = token_scores(generator, "head", half["width"], vectors[chosen])
    cumulative = scores.softmax(-1).cumsum(-1).detach()
    # The first whose cumulative probability is above the uniform number.
    drawn = torch.searchsorted(cumulative, inputs["uniform"][:, None], right=True)[:, 0]
    corrupted = real.clone()
    corrupted[chosen] = drawn
    vectors, _ = encode(net, a, dict(inputs, input_ids=corrupted))
    name = "replaced-token.head"
    logits = net.linear(name, net.feed_forward(f"{name}.transform", vectors, a["width"]), 1)
    replaced = (corrupted != real).double()
    tokens = inputs["attention_mask"].bool()
    assert 0 < replaced[chosen].mean() <= 1
    told = F.binary_cross_entropy_with_logits(logits[..., 0][tokens], replaced[tokens])
    net.cross_entropy = F.cross_entropy(scores, inputs["labels"])
    return net.cross_entropy + 50 * told


def denoising(net, a, inputs, number):
    _, pooled = encode(net, a, inputs)
    clean = number("clean", len(pooled), a["size"][0] * a["size"][1] * (a["size"] + [1])[2])
    inputs["clean"] = clean
    y = F.gelu(net.linear("denoising.decoder.0", pooled, 24), approximate="tanh")
    return F.mse_loss(net.linear("denoising.decoder.1", y, clean.shape[1]), clean)


def masked_patches(net, a, inputs, number):
    """As the masked autoencoder's own code has it: noise is sorted, and sorted back."""
    x = inputs["pixels"] if "pixels" in inputs else inputs["signals"]
    rows, p = len(x), a["patch"]
    mean, deviation = (torch.tensor(a["normalization"][k]).double() for k in ("mean", "deviation"))
    if "pixels" in inputs:
        h, w, c = a["size"]
        normal = (x.double() - mean) / deviation
        cut = normal.view(rows, h // p, p, w // p, p, c)
        target = torch.einsum("nhpwqc->nhwpqc", cut).flatten(3).flatten(1, 2)
    else:
        normal = (x.double() - mean[:, None]) / deviation[:, None]
        target = normal.unfold(2, p, p).transpose(1, 2).flatten(2)
    count, size = target.shape[1:]
    kept = int(count * (1 - 0.75))
    shuffle = number("noise", rows, count).argsort(1)
    restore = shuffle.argsort(1)
    seen, hidden = shuffle[:, :kept], shuffle[:, kept:]

    width = 16
    vectors, _ = patches(net, a, x, seen)
    name = "masked-patches.decoder"
    y = net.linear(f"{name}.in", vectors, width)
    blank = net(f"{name}.blank", 1, 1, width).expand(rows, count - kept, width)
    y = torch.cat([y, blank], 1).gather(1, restore[:, :, None].expand(-1, -1, width))
    y = y + net(f"{name}.positions", count, width)
    y = transformer(net, name, y, 1, 1, 2 * width)
    y = net.linear(f"{name}.out", y, size)
    variance, mean = torch.var_mean(target, -1, keepdim=True, unbiased=False)
    error = ((y - (target - mean) / (variance + 1e-2).sqrt()) ** 2).mean(-1)
    mask = torch.ones(rows, count).scatter(1, seen, 0.0)

    flat = lambda numbers: (torch.arange(rows)[:, None] * count + numbers).flatten()
    inputs["seen"], inputs["order"], inputs["hidden"] = flat(seen), flat(restore), flat(hidden)
    return (error * mask).sum() / mask.sum()


def four(net, a, inputs, name):
    inputs["labels"] = torch.arange(len(next(iter(inputs.values())))) * 3 % 4
    labels = inputs["labels"]
    _, pooled = encode(net, a, inputs)
    return F.cross_entropy(net.linear(f"{name}.head", pooled, 4), labels)


def rotation(net, a, inputs, number):
    return four(net, a, inputs, "rotation")


def order(net, a, inputs, number):
    return four(net, a, inputs, "order")


def projected(net, a, inputs, name, widths=PROJECTOR):
    _, pooled = encode(net, a, inputs)
    return net.projector(f"{name}.projector", pooled, widths)


def cosines(a, b):
    return F.cosine_similarity(a[:, None], b[None], dim=-1)


def simclr(net, a, inputs, number):
    z = projected(net, a, inputs, "simclr")
    scores = (cosines(z, z) / 0.2).fill_diagonal_(float("-inf"))
    half = len(z) // 2
    return F.cross_entropy(scores, torch.arange(len(z)).roll(half))


def simcse(net, a, inputs, number):
    for key in ("input_ids", "attention_mask"):
        inputs[key] = inputs[key][: len(inputs[key]) // 2].repeat(2, 1)
    shape = (len(inputs["input_ids"]), 2 * a["layers"] + 1, a["width"])
    factors = torch.where(number("dropout", *shape) < -0.8, 0.0, 1 / 0.9)
    inputs["dropout"] = factors.float().double()
    _, pooled = encode(net, a, inputs)
    first, second = pooled.chunk(2)
    return F.cross_entropy(cosines(first, second) / 0.05, torch.arange(len(first)))


def both_ways(first, second, scale):
    scores, right = cosines(first, second) * scale, torch.arange(len(first))
    return (F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)) / 2


def neighborhood(net, a, inputs, number):
    return both_ways(*projected(net, a, inputs, "neighborhood").chunk(2), 1 / 0.2)


def multiple_negatives(net, a, inputs, number):
    return both_ways(*encode(net, a, inputs)[1].chunk(2), 20.0)


def vicreg(net, a, inputs, number):
    x, y = projected(net, a, inputs, "vicreg").chunk(2)
    loss = 25 * F.mse_loss(x, y)
    for z in (x, y):
        loss = loss + 25 * F.relu(1 - (z.var(0) + 1e-4).sqrt()).mean() / 2
        covariance = torch.cov(z.T)
        off = covariance - covariance.diag().diag()
        loss = loss + (off**2).sum() / z.shape[1]
    return loss


def barlow_twins(net, a, inputs, number):
    x, y = projected(net, a, inputs, "barlow-twins").chunk(2)
    normal = lambda z: F.batch_norm(z, None, None, training=True, eps=1e-5)
    c = normal(x).T @ normal(y) / len(x)
    on = (c.diag() - 1).pow(2).sum()
    off = (c - c.diag().diag()).pow(2).sum()
    return (on + 5e-3 * off) / len(c)


def simsiam(net, a, inputs, number):
    z = net.batch_norm("simsiam.projector.norm", projected(net, a, inputs, "simsiam"))
    p = net.projector("simsiam.predictor", z, [6, z.shape[1]])
    (p1, p2), (z1, z2) = p.chunk(2), z.detach().chunk(2)
    return -(F.cosine_similarity(p1, z2).mean() + F.cosine_similarity(p2, z1).mean()) / 2


def sinkhorn(scores, rounds=3):
    """As SwAV's code has it, with a batch in rows."""
    q = torch.exp(scores).T
    q = q / q.sum()
    groups, rows = q.shape
    for _ in range(rounds):
        q = q / q.sum(1, keepdim=True) / groups
        q = q / q.sum(0, keepdim=True) / rows
    return (q * rows).T


def self_distillation(net, a, inputs, number):
    def scores(net):
        z = projected(net, a, inputs, "self-distillation")
        groups = net("self-distillation.prototypes.weight", 10, z.shape[1])
        return cosines(z, groups).chunk(2)

    student = scores(net)
    teacher = [sinkhorn(t.detach() / 0.05) for t in scores(Net("", ".average", net.made))]
    cross = lambda s, t: F.cross_entropy(s / 0.1, t)
    return (cross(student[0], teacher[1]) + cross(student[1], teacher[0])) / 2


def sigreg(net, a, inputs, number):
    """The agreement and the statistic as the appendix of the paper has them."""
    z = projected(net, a, inputs, "sigreg")
    views = torch.stack(z.chunk(2))
    directions = F.normalize(number("directions", z.shape[1], 6), dim=0)
    inputs["directions"] = directions = directions.float().double()
    agreement = (views - views.mean(0)).square().mean()
    t = torch.linspace(0, 3, 17, dtype=torch.float64)
    normal = torch.exp(-t.square() / 2)
    along = (views @ directions)[..., None] * t
    function = torch.exp(1j * along).mean(1)
    error = (function - normal).abs().square() * normal
    statistic = 2 * torch.trapezoid(error, t, dim=-1) * views.shape[1]
    return 0.95 * agreement + 0.05 * statistic.mean()


def triplet(net, a, inputs, number):
    inputs["labels"] = torch.tensor([0, 1, 0, 2, 1, -1, 0, 1])
    labels = inputs["labels"]
    _, pooled = encode(net, a, inputs)
    unit = F.normalize(pooled)
    terms = []
    for i, label in enumerate(labels):
        distance = lambda js: torch.stack([(unit[i] - unit[j]).norm() for j in js])
        known = [j for j in range(len(labels)) if j != i and label >= 0 and labels[j] >= 0]
        same = [j for j in known if labels[j] == label]
        other = [j for j in known if labels[j] != label]
        if same and other:
            terms.append(F.softplus(5 * (distance(same).max() - distance(other).min())))
    return torch.stack(terms).mean()


def supervised_contrastive(net, a, inputs, number):
    inputs["labels"] = torch.tensor([4, 0, 4, -4, 4, 0, 4, -4])
    labels = inputs["labels"]
    z = projected(net, a, inputs, "supervised-contrastive")
    scores = cosines(z, z) / 0.1
    terms = []
    for i in range(len(z)):
        others = [j for j in range(len(z)) if j != i]
        log = {j: scores[i, j] - scores[i, others].logsumexp(0) for j in others}
        terms.append(-torch.stack([log[j] for j in others if labels[j] == labels[i]]).mean())
    return torch.stack(terms).mean()
