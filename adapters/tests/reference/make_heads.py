"""Fit scikit-learn's heads on embeddings.npy and write what the Rust heads must equal.

Needs scikit-learn (made with 1.9.1, float64 throughout) and embeddings.npy beside it.

Usage: python make_heads.py
Writes heads.json (settings, small results) and *_coefficients.npy (float32).

Cases: `wide` 304 x 384, 19 classes (fewer examples than dimensions); `tall` the first 24
dimensions of the same; `binary` two films, 32 x 384; `narrow` two films, 32 x 8;
`oneshot` one review a film.
"""

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.neighbors import NearestCentroid

HERE = Path(__file__).parent
PENALTIES = [0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]


def cases():
    reviews = (np.load(HERE / "embeddings.npy").astype(np.float64) / 256).reshape(19, 20, 384)

    def case(films, shots, dimensions):
        x = reviews[:films, :shots, :dimensions].reshape(-1, dimensions)
        test = reviews[:films, 16:, :dimensions].reshape(-1, dimensions)
        return x, np.repeat(np.arange(films), shots), test

    return {
        "wide": case(19, 16, 384),
        "tall": case(19, 16, 24),
        "binary": case(2, 16, 384),
        "narrow": case(2, 16, 8),
        "oneshot": case(19, 1, 384),
    }


def gradient_norm(head, x, y):
    """Norm of the gradient of C * sum(log loss) + ||W||^2 / 2, to prove the optimum."""
    p = head.predict_proba(x)
    if len(head.classes_) == 2:
        r = head.C * (p[:, 1] - y)[:, None]
    else:
        r = head.C * (p - np.eye(len(head.classes_))[y])
    return float(np.sqrt(np.sum((head.coef_ + r.T @ x) ** 2) + np.sum(r.sum(0) ** 2)))


def digits(array, count=9):
    return [float(f"{v:.{count}g}") for v in np.ravel(array)]


def save(name, coefficients):
    np.save(HERE / f"{name}_coefficients.npy", np.atleast_2d(coefficients).astype(np.float32, order="C"))


def logistic(x, y, test, c):
    head = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-12, max_iter=200).fit(x, y)
    norm = gradient_norm(head, x, y)
    assert norm < 1e-8, norm
    return head, {
        "c": c,
        "intercepts": digits(head.intercept_),
        "probabilities": digits(head.predict_proba(test), 7),
        "gradient_norm": norm,
    }


def ridge(x, y):
    head = RidgeClassifierCV(alphas=PENALTIES, store_cv_results=True).fit(x, y)
    mean_squared = head.cv_results_.reshape(-1, len(PENALTIES)).mean(0)
    return head, {
        "penalty": float(head.alpha_),
        "loo_mean_squared_errors": digits(mean_squared),
        "intercepts": digits(head.intercept_),
    }


def main() -> None:
    out = {"scikit_learn": sklearn.__version__, "penalties": PENALTIES, "cases": {}}
    for name, (x, y, test) in cases().items():
        entry = {"films": int(y.max()) + 1, "shots": int(np.sum(y == 0)), "dimensions": x.shape[1]}
        head, entry["logistic"] = logistic(x, y, test, 1.0)
        if name != "oneshot":
            save(f"{name}_logistic", head.coef_)
        if name in ("tall", "binary"):
            _, entry["logistic_c100"] = logistic(x, y, test, 100.0)
        if name != "oneshot":
            head, entry["ridge"] = ridge(x, y)
            save(f"{name}_ridge", head.coef_)
        nearest = NearestCentroid().fit(x, y)
        entry["nearest_mean"] = [int(k) for k in nearest.predict(test)]
        out["cases"][name] = entry
    (HERE / "heads.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
