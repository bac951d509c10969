"""Figures of scikit-learn, scipy and plain numpy that metrics, calibration, label noise,
nearest neighbours, regression and multi-label classification must equal.

Needs scikit-learn (made with 1.9.1), scipy and embeddings.npy beside it.

Usage: python make_knowing.py
Writes knowing.json.

Predictions that several cases share: reviews of the first films, each told by the nearest
class mean without itself, `softmax(-SCALE * squared distance)`.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import sklearn
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp
from sklearn.calibration import calibration_curve
from sklearn.linear_model import RidgeCV
from sklearn.metrics import brier_score_loss, f1_score, log_loss
from sklearn.neighbors import KNeighborsClassifier

HERE = Path(__file__).parent
SCALE = 20.0
FLOOR = np.log(1e-12)


def reviews(films, shots, dimensions=384):
    all_ = (np.load(HERE / "embeddings.npy").astype(np.float64) / 256).reshape(19, 20, 384)
    x = all_[:films, :shots, :dimensions].reshape(-1, dimensions)
    test = all_[:films, 16:, :dimensions].reshape(-1, dimensions)
    return x, np.repeat(np.arange(films), shots), test


def left_out_logs(x, y, films):
    logs = np.zeros((len(x), films))
    for i in range(len(x)):
        keep = np.arange(len(x)) != i
        means = np.stack([x[keep & (y == k)].mean(0) for k in range(films)])
        logs[i] = log_softmax(-SCALE * ((x[i] - means) ** 2).sum(1))
    return logs


def metrics():
    x, y, _ = reviews(19, 16)
    logs = left_out_logs(x, y, 19)
    p = np.exp(logs)
    confidence, right = p.max(1), p.argmax(1) == y
    accuracy, mean = calibration_curve(right, confidence, n_bins=15)
    bins = np.minimum(np.ceil(confidence * 15).astype(int) - 1, 14)
    counts = np.bincount(bins, minlength=15)
    counts = counts[counts > 0]
    return {
        "log_loss": log_loss(y, p),
        "brier_score": brier_score_loss(y, p, labels=np.arange(19), scale_by_half=False),
        "accuracies": accuracy.tolist(),
        "confidences": mean.tolist(),
        "expected_calibration_error": float(np.sum(counts * np.abs(accuracy - mean)) / len(y)),
    }


def temperature(logs, y):
    def objective(u):
        scaled = np.exp(u[0]) * logs
        return -np.sum(log_softmax(scaled, axis=1)[np.arange(len(y)), y]) + 0.5 * u[0] ** 2

    best = minimize(objective, [0.0], method="Nelder-Mead", options={"xatol": 1e-11, "fatol": 1e-13})
    return float(np.exp(best.x[0]))


def dirichlet(logs, y, penalty):
    n, k = logs.shape
    off = 1 - np.eye(k)

    def objective(parameters):
        w, b = parameters[: k * k].reshape(k, k), parameters[k * k :]
        scores = logs @ w.T + b
        log_q = scores - logsumexp(scores, axis=1, keepdims=True)
        value = -log_q[np.arange(n), y].mean()
        value += penalty * (np.sum(off * w * w) / (k * (k - 1)) + np.sum(b * b) / k)
        value += penalty * np.sum((np.diag(w) - 1) ** 2) / k
        slope = np.exp(log_q)
        slope[np.arange(n), y] -= 1
        slope /= n
        gradient = slope.T @ logs + 2 * penalty * off * w / (k * (k - 1))
        gradient += np.diag(2 * penalty * (np.diag(w) - 1) / k)
        return value, np.concatenate([gradient.ravel(), slope.sum(0) + 2 * penalty * b / k])

    start = np.concatenate([np.eye(k).ravel(), np.zeros(k)])
    best = minimize(objective, start, jac=True, method="BFGS", options={"gtol": 1e-10, "maxiter": 10_000})
    norm = float(np.abs(best.jac).max())
    assert norm < 1e-8, norm
    return {
        "penalty": penalty,
        "weights": best.x[: k * k].tolist(),
        "intercepts": best.x[k * k :].tolist(),
        "objective": float(best.fun),
    }


def calibration():
    x, y, _ = reviews(6, 8)
    logs = np.maximum(left_out_logs(x, y, 6), FLOOR)
    inverse = temperature(logs, y)
    return {
        "temperature": inverse,
        # Of logarithms that the temperature has scaled.
        "dirichlet": [dirichlet(inverse * logs, y, penalty) for penalty in (0.01, 1.0)],
    }


def confident_learning(p, y, classes):
    """Rows and suggestions of confident learning, worst first; after arXiv:1911.00068."""
    thresholds = np.array([p[y == k, k].mean() for k in range(classes)])
    confident = np.where(p >= thresholds, p, -1)
    likeliest = confident.argmax(1)
    suspect = (confident.max(1) >= 0) & (likeliest != y)
    others = p.copy()
    others[np.arange(len(y)), y] = -1
    margin = p[np.arange(len(y)), y] - others.max(1)
    rows = np.flatnonzero(suspect)
    rows = rows[np.argsort(margin[rows], kind="stable")]
    return rows, likeliest[rows]


def noise():
    x, y, _ = reviews(19, 16)
    # Every tenth label becomes that of the film 7 further on.
    wrong = np.arange(0, len(y), 10)
    noisy = y.copy()
    noisy[wrong] = (y[wrong] + 7) % 19
    rows, suggested = confident_learning(np.exp(left_out_logs(x, noisy, 19)), noisy, 19)
    found = np.intersect1d(rows, wrong).size
    return {
        "rows": rows.tolist(),
        "suggested": suggested.tolist(),
        "precision": found / len(rows),
        "recall": found / len(wrong),
        "precision_of_first_20": np.isin(rows[:20], wrong).mean(),
    }


def neighbors():
    x, y, test = reviews(5, 8)
    out = {}
    for metric in ("cosine", "euclidean"):
        head = KNeighborsClassifier(5, weights="distance", metric=metric).fit(x, y)
        out[metric] = digits(head.predict_proba(test))
    return out


def digits(values, count=10):
    return [float(f"{v:.{count}g}") for v in np.ravel(values)]


def regression():
    """The last 3 dimensions of an embedding, and a shifted one, from the first ones."""
    out = {}
    for name, shots, dimensions in (("tall", 16, 24), ("wide", 4, 300)):
        x, _, test = reviews(19, shots)
        targets = np.concatenate([x[:, 381:], 100 + 5 * x[:, 380:381]], axis=1)
        alphas = [0.03, 0.1, 0.3, 1.0, 3.0]
        head = RidgeCV(alphas=alphas, store_cv_results=True).fit(x[:, :dimensions], targets)
        left_out = np.moveaxis(head.cv_results_, -1, 0).reshape(len(alphas), -1).mean(1)
        out[name] = {
            "shots": shots,
            "dimensions": dimensions,
            "penalty": float(head.alpha_),
            "mean_squared_errors": left_out.tolist(),
            "predictions": digits(head.predict(test[:, :dimensions])),
        }
    return out


def multi_label():
    generator = np.random.default_rng(0)
    truth = generator.random((30, 4)) < [0.5, 0.3, 0.1, 0.0]
    guess = truth ^ (generator.random((30, 4)) < 0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "truth": truth.astype(int).ravel().tolist(),
            "predicted": guess.astype(int).ravel().tolist(),
            "f1": f1_score(truth, guess, average=None, zero_division=0).tolist(),
            "micro": f1_score(truth, guess, average="micro", zero_division=0),
            "macro": f1_score(truth, guess, average="macro", zero_division=0),
            "subset_accuracy": float((truth == guess).all(1).mean()),
        }


def main() -> None:
    out = {
        "scikit_learn": sklearn.__version__,
        "metrics": metrics(),
        "calibration": calibration(),
        "noise": noise(),
        "neighbors": neighbors(),
        "regression": regression(),
        "multi_label": multi_label(),
    }
    (HERE / "knowing.json").write_text(json.dumps(out, separators=(",", ":"), default=float) + "\n")


if __name__ == "__main__":
    main()
