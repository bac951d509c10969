"""Median time of scikit-learn's fits on data like that of `examples/time_ridge.rs`.

Usage: python time_ridge.py [THREADS]
The threads of its linear algebra libraries are set by the argument, 2 unless told.
"""

import sys
import time

import numpy as np
import sklearn
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from threadpoolctl import threadpool_limits


def main() -> None:
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    rng = np.random.default_rng(0)
    y = np.arange(10_000) % 20
    x = rng.uniform(-1, 1, (10_000, 384)) + 0.2 * rng.uniform(-1, 1, (20, 384))[y]
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    print(f"scikit-learn {sklearn.__version__}, {threads} threads")
    heads = {
        "ridge, 13 penalties": RidgeClassifierCV(alphas=np.logspace(-3, 3, 13)),
        "discriminant, shrinkage 0.1": LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1),
        "logistic, C = 1, default tolerance": LogisticRegression(max_iter=2000),
        "logistic, C = 1, tolerance 1e-6": LogisticRegression(tol=1e-6, max_iter=2000),
    }
    with threadpool_limits(threads):
        for name, head in heads.items():
            for kind in ["f32", "f64"]:
                data = x.astype(kind.replace("f32", "float32").replace("f64", "float64"))
                head.fit(data, y)
                times = []
                for _ in range(5):
                    start = time.perf_counter()
                    head.fit(data, y)
                    times.append(time.perf_counter() - start)
                print(f"{name}, {kind}: median {1000 * np.median(times):.0f} ms, least {1000 * min(times):.0f} ms")


if __name__ == "__main__":
    main()
