"""Resizing images."""

import numpy as np
from torch.nn import functional as F

from inputs import Const


def cases(m):
    nothing = Const(np.zeros(0, dtype=np.float32))
    for name, shape, scales, function, settings in [
        ("nearest, twice", (1, 2, 2, 3), (2, 2), lambda x: F.interpolate(x, scale_factor=2),
         dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")),
        ("nearest, smaller", (1, 1, 4, 4), (0.5, 0.5), lambda x: F.interpolate(x, scale_factor=0.5),
         dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")),
        ("linear, twice", (1, 2, 2, 3), (2, 2),
         lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
         dict(mode="linear", coordinate_transformation_mode="half_pixel")),
        ("linear, as PyTorch exports it", (1, 1, 3, 3), (2, 3),
         lambda x: F.interpolate(x, size=(6, 9), mode="bilinear"),
         dict(mode="linear", coordinate_transformation_mode="pytorch_half_pixel")),
        ("linear, corners aligned", (1, 1, 3, 4), (2, 1.5),
         lambda x: F.interpolate(x, size=(6, 6), mode="bilinear", align_corners=True),
         dict(mode="linear", coordinate_transformation_mode="align_corners")),
    ]:
        given = Const(np.array([1, 1, *scales], dtype=np.float32))
        given.array.setflags(write=False)
        m.case(f"Resize {name}", "Resize", [m.x(*shape), nothing, given],
               lambda x, *_, f=function: f(x), kind="float32", needs_sizes="bind them", **settings)
        to = [1, shape[1]] + [int(n * s) for n, s in zip(shape[2:], scales)]
        m.case(f"Resize {name}, by sizes", "Resize", [m.x(*shape), None, None, Const(np.array(to))],
               lambda x, *_, f=function: f(x), kind="float32", needs_sizes="bind them", **settings)
