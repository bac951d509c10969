"""Pooling."""

import numpy as np
import torch
from torch.nn import functional as F


def cases(m):
    def around(pads, spatial):
        return pads[:spatial] if pads else 0

    for name, shape, settings, kind in [
        ("", (2, 2, 4, 4), dict(kernel_shape=[2, 2], strides=[2, 2]), "float64"),
        ("overlapping", (1, 2, 5, 4), dict(kernel_shape=[3, 3], strides=[1, 1]), "float64"),
        ("padded", (1, 2, 4, 5), dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), "float64"),
        ("that leaves a rest", (1, 1, 5, 5), dict(kernel_shape=[2, 2], strides=[2, 2]), "float64"),
        ("rounding up", (1, 1, 5, 5), dict(kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1), "float64"),
        ("dilated", (1, 1, 5, 5), dict(kernel_shape=[2, 2], strides=[1, 2], dilations=[2, 2]), "float64"),
        ("1-D", (2, 2, 6), dict(kernel_shape=[3], strides=[2]), "float64"),
        ("in float32", (2, 2, 4, 4), dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), "float32"),
    ]:
        spatial = len(shape) - 2
        function = {1: F.max_pool1d, 2: F.max_pool2d}[spatial]
        m.case(f"MaxPool {name}", "MaxPool", [m.distinct(*shape)],
               lambda x, s=settings, f=function, n=spatial: f(
                   x, s["kernel_shape"], s["strides"], around(s.get("pads"), n),
                   s.get("dilations", 1), bool(s.get("ceil_mode"))), kind=kind, **settings)
    m.case("MaxPool of equal elements", "MaxPool", [np.zeros((1, 1, 2, 4))],
           lambda x: F.max_pool2d(x, 2), smooth=False, kernel_shape=[2, 2], strides=[2, 2])

    for name, shape, settings in [
        ("", (2, 2, 4, 4), dict(kernel_shape=[2, 2], strides=[2, 2])),
        ("overlapping", (1, 2, 4, 5), dict(kernel_shape=[3, 2], strides=[1, 1])),
        ("that leaves a rest", (1, 1, 6, 5), dict(kernel_shape=[3, 2], strides=[2, 2])),
        ("padded", (1, 2, 4, 5), dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])),
        ("padding counted", (1, 2, 4, 5),
         dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)),
        ("rounding up", (1, 1, 5, 4), dict(kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1)),
        ("rounding up, padded", (1, 1, 6, 5),
         dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1)),
        ("rounding up, padding counted", (1, 1, 6, 4),
         dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1)),
        ("1-D", (2, 2, 6), dict(kernel_shape=[3], strides=[2], pads=[1, 1])),
    ]:
        spatial = len(shape) - 2
        function = {1: F.avg_pool1d, 2: F.avg_pool2d}[spatial]
        ceil = settings.get("ceil_mode")
        m.case(f"AveragePool {name}", "AveragePool", [m.x(*shape)],
               lambda x, s=settings, f=function, n=spatial: f(
                   x, s["kernel_shape"], s["strides"], around(s.get("pads"), n),
                   bool(s.get("ceil_mode")), bool(s.get("count_include_pad"))),
               kind="float32", needs_sizes="bind them" if ceil else None, **settings)
    for shape in [(2, 3, 2, 3), (2, 2, 4), (1, 2, 1, 1)]:
        axes = tuple(range(2, len(shape)))
        m.case(f"GlobalAveragePool {shape}", "GlobalAveragePool", [m.x(*shape)],
               lambda x, a=axes: x.mean(a, keepdim=True), kind="float32")
        m.case(f"GlobalMaxPool {shape}", "GlobalMaxPool", [m.distinct(*shape)],
               lambda x, a=axes: x.amax(a, keepdim=True), kind="float32")
