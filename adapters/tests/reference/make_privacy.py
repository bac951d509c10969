"""The delta that rho-zCDP implies at some epsilon, by a fine grid and in 40 digits.

Needs mpmath. Usage: python make_privacy.py
Writes privacy.json: [rho, epsilon, ln delta] for each case.

Corollary 13 of Canonne, Kamath and Steinke 2020 (arXiv:2004.00010), minimised over a
grid of alpha that is refined around the best point: another way than the Rust code's.
"""

import json
from pathlib import Path

from mpmath import exp, linspace, log, mp, mpf

mp.dps = 40


def log_delta(rho, epsilon):
    rho, epsilon = mpf(rho), mpf(epsilon)

    def at(alpha):
        return (alpha - 1) * (alpha * rho - epsilon) - log(alpha - 1) + alpha * log(1 - 1 / alpha)

    low, high = mpf(-12), mpf(18)
    for _ in range(12):
        grid = linspace(low, high, 101)
        best = min(range(101), key=lambda i: at(1 + exp(grid[i])))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, 100)]
    return min(at(1 + exp((low + high) / 2)), mpf(0))


def main() -> None:
    cases = [
        [rho, epsilon, float(log_delta(rho, epsilon))]
        for rho in (1e-4, 1e-3, 0.01, 0.1, 0.5, 2.0)
        for epsilon in (0.1, 1.0, 3.0, 8.0)
    ]
    (Path(__file__).parent / "privacy.json").write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
