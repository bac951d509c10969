"""Fit times of logistic regression beside scikit-learn's lbfgs, in turn, to the same optimum.

Usage: python time_logistic_large.py FOLDER [PROGRAM [ROUNDS]]
Writes 10,000 examples of 384 dimensions and 20 classes to FOLDER: rows of unit length around
class means, as sentence embeddings lie. With PROGRAM, the built example time_logistic_large,
it then runs both in turn. scikit-learn reads float64 and stops where its coefficients are as near
to the optimum as the program's, or within 1e-5 of it: the loosest of some tolerances.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression

N, D, K = 10_000, 384, 20


def examples():
    random = np.random.default_rng(7)
    spectrum = 1 / np.sqrt(1 + np.arange(D) / 20)
    basis, _ = np.linalg.qr(random.normal(size=(D, D)))
    means = 0.35 * random.normal(size=(K, D)) * spectrum
    y = random.integers(0, K, N)
    x = (means[y] + random.normal(size=(N, D)) * spectrum + 0.3 * spectrum) @ basis
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), y


def main():
    folder = Path(sys.argv[1])
    x, y = examples()
    (folder / "x.f32").write_bytes(x.tobytes())
    (folder / "y.u8").write_bytes(y.astype(np.uint8).tobytes())
    if len(sys.argv) < 3:
        return
    print(f"scikit-learn {sklearn.__version__}")

    def program():
        out = subprocess.run([sys.argv[2], folder], check=True, capture_output=True, text=True)
        return {float(line.split()[0]): line.split() for line in out.stdout.splitlines()}

    exact = x.astype(np.float64)

    def fit(c, tolerance, data=exact):
        start = time.perf_counter()
        head = LogisticRegression(C=c, tol=tolerance, max_iter=10_000).fit(data, y)
        return time.perf_counter() - start, head

    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    program()
    for c in [1.0, 32.0]:
        best = fit(c, 1e-10)[1]

        def off(coefficients):
            return np.linalg.norm(coefficients - best.coef_) / np.linalg.norm(best.coef_)

        error = off(np.fromfile(folder / f"w{c:g}.f64").reshape(K, D))
        for tolerance in [1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7]:
            same = fit(c, tolerance)[1]
            if off(same.coef_) <= max(error, 1e-5):
                break
        # In single precision it stops far from the optimum, whatever the tolerance.
        loose = fit(c, 1e-4, x)[1]
        times = []
        for _ in range(rounds):
            line = program()[c]
            times.append((float(line[1]), fit(c, tolerance)[0], fit(c, 1e-4, x)[0]))
        times = np.array(times)
        own, theirs, single = np.median(times, axis=0)
        ratio = np.median(times[:, 1] / times[:, 0])
        print(
            f"C = {c:g}: {own * 1000:.0f} ms in {line[2]} iterations, off by {error:.1e}; "
            f"scikit-learn {theirs * 1000:.0f} ms at tol = {tolerance:g}, off by "
            f"{off(same.coef_):.1e}, {same.n_iter_[0]} iterations: {ratio:.1f} x (median); "
            f"float32 at its default tolerance {single * 1000:.0f} ms, off by {off(loose.coef_):.1e}"
        )


if __name__ == "__main__":
    main()
