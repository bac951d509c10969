"""Repetition, running sums, and blocks of pixels."""

import numpy as np
import torch
from torch.nn import functional as F

from inputs import Const


def cases(m):
    for name, shape, copies in [("", (2, 3), (2, 1)), (" all ways", (2, 1, 2), (1, 3, 2)),
                                (" of a vector", (3,), (4,)), (" of nothing", (0, 2), (2, 2)),
                                (" to nothing", (2, 2), (0, 1))]:
        for kind in [Const, lambda v: v]:
            given = kind(np.array(copies))
            named = "constant" if isinstance(given, Const) else "input"
            m.case(f"Tile{name}, {named}", "Tile", [m.x(*shape), given],
                   lambda x, r: x.tile(tuple(int(n) for n in r)))
    def running(x, axis, exclusive, reverse):
        x = x.flip(axis) if reverse else x
        y = x.cumsum(axis)
        y = y - x if exclusive else y
        return y.flip(axis) if reverse else y
    for axis in [0, -1]:
        for exclusive in [0, 1]:
            for reverse in [0, 1]:
                m.case(f"CumSum {axis} {exclusive} {reverse}", "CumSum",
                       [m.x(2, 3), Const(np.array(axis))],
                       lambda x, _, a=axis, e=exclusive, r=reverse: running(x, a, e, r),
                       exclusive=exclusive, reverse=reverse)
    def deep(x, size):
        n, c, h, w = x.shape
        return x.reshape(n, size, size, c // size**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(
            n, c // size**2, h * size, w * size)
    m.case("DepthToSpace", "DepthToSpace", [m.x(1, 8, 2, 1)], lambda x: deep(x, 2), blocksize=2)
    m.case("DepthToSpace, channels outermost", "DepthToSpace", [m.x(2, 8, 1, 2)],
           lambda x: F.pixel_shuffle(x, 2), blocksize=2, mode="CRD",
           needs_sizes="needs a known number of channels")
    def shallow(x, size):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // size, size, w // size, size).permute(0, 3, 5, 1, 2, 4).reshape(
            n, c * size**2, h // size, w // size)
    m.case("SpaceToDepth", "SpaceToDepth", [m.x(1, 2, 4, 2)], lambda x: shallow(x, 2), blocksize=2)
