"""Median times of scikit-learn's fits on the data of `examples/time_logistic.rs`.

Usage: python time_heads.py [THREADS]
The threads of its linear algebra libraries are set by the argument, 2 unless told.
"""

import sys
import time
from pathlib import Path

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.neighbors import NearestCentroid
from threadpoolctl import threadpool_limits


def median_ms(fit, repeats=41):
    times = []
    for _ in range(repeats):
        time.sleep(0.02)
        start = time.perf_counter()
        fit()
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))


def main() -> None:
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    reviews = np.load(Path(__file__).parent / "embeddings.npy").reshape(19, 20, 384)
    x = (reviews[:, :16].reshape(-1, 384) / np.float32(256)).astype(np.float32)
    y = np.repeat(np.arange(19), 16)
    print(f"scikit-learn {sklearn.__version__}, {threads} threads")
    heads = {
        "logistic, C = 1": LogisticRegression(),
        "logistic, C = 1, tol = 1e-6": LogisticRegression(tol=1e-6, max_iter=10_000),
        "logistic, C = 1, tol = 1e-6, f64": LogisticRegression(tol=1e-6, max_iter=10_000),
        "logistic, C = 32, tol = 1e-6": LogisticRegression(C=32, tol=1e-6, max_iter=10_000),
        "ridge, 13 penalties": RidgeClassifierCV(alphas=np.logspace(-3, 3, 13)),
        "nearest centroid": NearestCentroid(),
    }
    with threadpool_limits(threads):
        for name, head in heads.items():
            data = x.astype(np.float64) if name.endswith("f64") else x
            print(f"{name}: {median_ms(lambda: head.fit(data, y)):.2f} ms")


if __name__ == "__main__":
    main()
