"""Fit scikit-learn's logistic regression with class weights on uneven classes of embeddings.npy
and write what the Rust head must equal.

Needs scikit-learn (made with 1.9.1, float64 throughout) and embeddings.npy beside it.

Usage: python make_class_weights.py
Writes class_weights.json.

Class k has 2 + 2 k reviews of film k: of 6 films with 384 dimensions (42 examples, fewer than
dimensions) and with the first 24 of them; and of 2 films with 8.
"""

import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).parent


def digits(array, count=9):
    return [float(f"{v:.{count}g}") for v in np.ravel(array)]


def fit(x, y, test, c, weights):
    head = LogisticRegression(
        C=c, solver="newton-cg", tol=1e-10, max_iter=10_000, class_weight=weights
    ).fit(x, y)
    classes = len(head.classes_)
    counts = np.bincount(y)
    each = {"balanced": len(y) / (classes * counts)}.get(weights) if isinstance(weights, str) else None
    if each is None:
        each = np.array([weights[k] for k in range(classes)])
    p = head.predict_proba(x)
    r = (p[:, 1] - y)[:, None] if classes == 2 else p - np.eye(classes)[y]
    r = c * each[y][:, None] * r
    gradient = np.sqrt(np.sum((head.coef_ + r.T @ x) ** 2) + np.sum(r.sum(0) ** 2))
    assert gradient < 1e-7, gradient
    return {
        "c": c,
        "weights": digits(each, 17),
        "coefficients": digits(head.coef_) if head.coef_.size < 500 else None,
        "intercepts": digits(head.intercept_),
        "probabilities": digits(head.predict_proba(test)),
    }


def main():
    reviews = (np.load(HERE / "embeddings.npy").astype(np.float64) / 256).reshape(19, 20, 384)
    cases = []
    for films, dimensions in [(6, 384), (6, 24), (2, 8)]:
        x = np.concatenate([reviews[k, : 2 + 2 * k, :dimensions] for k in range(films)])
        y = np.concatenate([np.full(2 + 2 * k, k) for k in range(films)])
        test = reviews[:films, 16:, :dimensions].reshape(-1, dimensions)
        explicit = {k: 0.5 + (k * 3) % 5 for k in range(films)}
        fits = {
            "balanced": fit(x, y, test, 1.0, "balanced"),
            "balanced, c 30": fit(x, y, test, 30.0, "balanced"),
            "explicit": fit(x, y, test, 4.0, explicit),
        }
        cases.append({"films": films, "dimensions": dimensions, "fits": fits})
    (HERE / "class_weights.json").write_text(json.dumps(cases, indent=0) + "\n")


if __name__ == "__main__":
    main()
