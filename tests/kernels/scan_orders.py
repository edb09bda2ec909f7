"""Checks derivatives of scans to the third order, in every way and cell.

  python -m tests.kernels.scan_orders

Compares them with those of a loop in Python, to 1e-10 of the largest.
"""

import time

import numpy as np
import tensorflow as tf

from dice_tf.kernels.scans import plain_scan, scan
from tests.kernels.cells import PROBLEMS
from tests.kernels.programs import WAYS, compute, derivatives

NUM_RUNS, ORDER, TOLERANCE = 2, 3, 1e-10


def errors(found, expected):
    """Returns the largest difference of each order, of the largest number."""
    return [
        float(np.abs(one - other).max() / np.abs(other).max())
        for one, other in zip(found, expected, strict=True)
    ]


def main():
    for name, build in sorted(PROBLEMS.items()):
        problem = build()
        vectors = problem.vectors(NUM_RUNS)
        plain = derivatives(problem.outcome(plain_scan), ORDER)
        runs = [plain(tf.constant(vector)) for vector in vectors]
        expected = [np.stack(values) for values in zip(*runs, strict=True)]
        for way in WAYS:
            start = time.monotonic()
            kernel = derivatives(problem.outcome(scan), ORDER)
            measured = errors(compute(way, kernel, vectors), expected)
            seconds = time.monotonic() - start
            listed = " ".join(f"{error:.0e}" for error in measured)
            print(f"{name:12} {way:16} {listed} {seconds:6.0f} s", flush=True)
            if max(measured) > TOLERANCE:
                raise SystemExit("Derivatives differ.")


if __name__ == "__main__":
    main()
