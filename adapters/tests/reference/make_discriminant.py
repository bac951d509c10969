"""Fit scikit-learn's linear discriminant on embeddings.npy, for the one from statistics.

Needs scikit-learn (made with 1.9.1, float64 throughout) and embeddings.npy beside it.

Usage: python make_discriminant.py
Writes discriminant.json: for each case the decision values of 2 test reviews a film.

The shrinkage of `oas` is scikit-learn's OAS on the n - K independent rows that span the
residuals within classes: contrasts of each class, made with a Helmert matrix.
"""

import json
from pathlib import Path

import numpy as np
import sklearn
from scipy.linalg import helmert
from sklearn.covariance import OAS
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

HERE = Path(__file__).parent


def data(films, shots, dimensions):
    reviews = (np.load(HERE / "embeddings.npy").astype(np.float64) / 256).reshape(19, 20, 384)
    x = reviews[:films, :shots, :dimensions].reshape(-1, dimensions)
    test = reviews[:films, 16:18, :dimensions].reshape(-1, dimensions)
    return x, np.repeat(np.arange(films), shots), test


def main() -> None:
    out = {"scikit_learn": sklearn.__version__, "cases": []}
    for films, shots, dimensions, shrinkage, drop in [
        (19, 16, 24, 0.01, 0),
        (19, 16, 24, None, 7),
        (19, 16, 384, 0.3, 0),
        (4, 5, 384, None, 3),
        (2, 16, 8, 1.0, 5),
    ]:
        x, y, test = data(films, shots, dimensions)
        # Classes of different sizes: the last reviews of the last film are left out.
        x, y = x[: len(x) - drop], y[: len(y) - drop]
        case = {"films": films, "shots": shots, "dimensions": dimensions, "drop": drop}
        if shrinkage is None:
            rows = [helmert(np.sum(y == k)) @ x[y == k] for k in range(films)]
            case["oas"] = shrinkage = float(OAS(assume_centered=True).fit(np.vstack(rows)).shrinkage_)
        case["shrinkage"] = shrinkage
        head = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(x, y)
        case["scores"] = [float(f"{v:.11g}") for v in np.ravel(head.decision_function(test))]
        out["cases"].append(case)
    (HERE / "discriminant.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
