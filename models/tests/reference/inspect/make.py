"""Writes measures.json: embeddings, and what scikit-learn, SciPy and NumPy make of them.

python make.py  (numpy, scipy, scikit-learn)
"""
import json
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist, pdist
from scipy.stats import linregress, skew, spearmanr
from sklearn.linear_model import LinearRegression
from sklearn.metrics import (adjusted_rand_score, normalized_mutual_info_score, silhouette_samples)
from sklearn.neighbors import NearestNeighbors

rng = np.random.default_rng(0)
n, d, k = 90, 10, 3
labels = np.arange(n) % k
x = rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.5 + 1.5 * np.eye(k, d)[labels] + 0.3
x = x.astype(np.float32)
x64 = x.astype(np.float64)
unit = x64 / np.linalg.norm(x64, axis=1, keepdims=True)

singular = np.linalg.svd(x64, compute_uv=False)
p = singular / singular.sum()
variances = np.linalg.eigvalsh(np.cov(x64.T, bias=True))[::-1]
ranks = np.arange(1, d // 2 + 1)

near = NearestNeighbors(n_neighbors=11).fit(x64)
far, who = (a[:, 1:] for a in near.kneighbors(x64))
log_mu = np.sort(np.log(far[:, 1] / far[:, 0]))
cut = int(n * 0.9)
y = -np.log(1 - np.arange(1, n + 1) / n, where=np.arange(1, n + 1) < n, out=np.zeros(n))
two_nn = LinearRegression(fit_intercept=False).fit(log_mu[:cut, None], y[:cut]).coef_[0]
mle = 1 / np.mean(np.mean(np.log(far[:, -1:] / far[:, :-1]), axis=1))
occurrence = np.bincount(who.ravel(), minlength=n)

means = np.stack([x64[labels == c].mean(0) for c in range(k)])
within = np.mean([np.cov(x64[labels == c].T, bias=True) for c in range(k)], axis=0)
between = np.cov(means.T, bias=True)
var = [np.trace(np.cov(x64[labels == c].T, bias=True)) for c in range(k)]
pairs = [(i, j) for i in range(k) for j in range(k) if i != j]
gap = lambda i, j: means[i] - means[j]
direction = lambda i, j: gap(i, j) / np.linalg.norm(gap(i, j))
cdnv = np.mean([var[i] / np.sum(gap(i, j) ** 2) for i, j in pairs])
directional = np.mean([np.var(x64[labels == i] @ direction(i, j)) / np.sum(gap(i, j) ** 2)
                       for i, j in pairs])
cosine = cdist(unit, unit, "cosine")
blocks = np.array([[cosine[labels == a][:, labels == b].mean() for b in range(k)] for a in range(k)])
separation = 1 - np.diag(blocks).mean() / blocks.mean()

other = labels.copy()
other[::4] = (other[::4] + 1) % k
code = np.round(127 * unit / np.abs(unit).max(1, keepdims=True))
best = lambda u: [set(r) for r in NearestNeighbors(n_neighbors=11).fit(u).kneighbors(u)[1][:, 1:]]
rows = lambda u: u / np.linalg.norm(u, axis=1, keepdims=True)
signs = np.where(unit > 0, 1.0, -1.0)
half = np.concatenate([unit[:, : d // 2], np.zeros((n, d - d // 2))], 1)
kept = lambda u: np.mean([len(a & b) / 10 for a, b in zip(best(unit), best(rows(u)))])

Path(__file__).with_name("measures.json").write_text(json.dumps({
    "x": x.tolist(), "labels": labels.tolist(), "other": other.tolist(),
    "effective_rank": np.exp(-np.sum(p * np.log(p))),
    "participation_ratio": variances.sum() ** 2 / np.sum(variances**2),
    "decay": -linregress(np.log(ranks), np.log(variances[: len(ranks)])).slope,
    "two_nn": two_nn, "mle": mle, "hubness": skew(occurrence),
    "never": np.mean(occurrence == 0),
    "uniformity": np.log(np.mean(np.exp(-2 * pdist(unit) ** 2))),
    "anisotropy": 1 - np.mean(pdist(unit, "cosine")),
    "silhouette": silhouette_samples(x64, labels).tolist(),
    "nmi": normalized_mutual_info_score(labels, other),
    "rand": adjusted_rand_score(labels, other),
    "nc1": np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / k,
    "cdnv": cdnv, "directional": directional, "separation": separation,
    "int8": kept(code), "half": kept(half),
    "half_error": 1 - np.sum(half**2) / n,
    "spearman": spearmanr(x64[:, 0], x64[:, 1]).statistic,
}))
