"""Normalisation over a batch, over a channel, over groups of channels, and by a norm."""

import numpy as np
import torch
from torch.nn import functional as F

from inputs import Fixed


def cases(m):
    for name, shape in [("of images", (2, 3, 2, 2)), ("of series", (2, 2, 3)), ("of rows", (3, 2))]:
        c = shape[1]
        given = [m.x(*shape), m.x(c), m.x(c), Fixed(m.x(c)), Fixed(m.x(c, low=0.3))]
        m.case(f"BatchNormalization {name}", "BatchNormalization", given,
               lambda x, s, b, mean, var: F.batch_norm(x, mean, var, s, b, False, 0.1, 1e-5))
        def training(x, s, b, mean, var):
            axes = [0, *range(2, x.dim())]
            now = [x.mean(axes).detach(), x.var(axes, unbiased=False).detach()]
            y = F.batch_norm(x, None, None, s, b, True, 0.1, 1e-3)
            return y, 0.75 * mean + 0.25 * now[0], 0.75 * var + 0.25 * now[1]
        m.case(f"BatchNormalization in training {name}", "BatchNormalization", given, training,
               training_mode=1, momentum=0.75, epsilon=1e-3)
    m.case("InstanceNormalization", "InstanceNormalization", [m.x(2, 3, 2, 3), m.x(3), m.x(3)],
           lambda x, s, b: F.instance_norm(x, None, None, s, b, True, 0.1, 1e-5), kind="float32")
    m.case("InstanceNormalization of series", "InstanceNormalization", [m.x(2, 2, 5), m.x(2), m.x(2)],
           lambda x, s, b: F.instance_norm(x, None, None, s, b, True, 0.1, 1e-2), kind="float32",
           epsilon=1e-2)
    for name, shape, groups in [("", (2, 4, 2, 2), 2), (" of one group", (2, 3, 2), 1)]:
        c = shape[1]
        m.case(f"GroupNormalization{name}", "GroupNormalization", [m.x(*shape), m.x(c), m.x(c)],
               lambda x, s, b, g=groups: F.group_norm(x, g, s, b, 1e-5), opset=21, num_groups=groups, kind="float32",
               needs_sizes="needs a known number of channels")
        def each(x, s, b, g=groups, shape=shape):
            y = F.group_norm(x, g, None, None, 1e-5).reshape(shape[0], g, -1)
            return (y * s[:, None] + b[:, None]).reshape(shape)
        m.case(f"GroupNormalization{name}, scaled by group", "GroupNormalization",
               [m.x(*shape), m.x(groups), m.x(groups)], each, num_groups=groups,
               needs_sizes="needs a known number of channels")
    for name, shape, axis in [("", (2, 4), -1), (" of two dimensions", (2, 3, 2), 1)]:
        width = shape[axis:]
        m.case(f"RMSNormalization{name}", "RMSNormalization", [m.x(*shape), m.x(*width)],
               lambda x, s, w=width: F.rms_norm(x, w, s, 1e-5), opset=23, axis=axis, kind="float32")
    for p in [1, 2]:
        for axis in [-1, 0]:
            m.case(f"LpNormalization {p}, {axis}", "LpNormalization", [m.x(2, 3)],
                   lambda x, p=p, axis=axis: F.normalize(x, p, axis), p=p, axis=axis)
    m.case("LpNormalization", "LpNormalization", [m.x(2, 3)], lambda x: F.normalize(x, 2, -1))
