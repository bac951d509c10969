"""Softmax and normalisation over features."""

import numpy as np
import torch
from torch.nn import functional as F


def cases(m):
    for operator, function in [("Softmax", torch.softmax), ("LogSoftmax", torch.log_softmax)]:
        for name, shape, axis in [("last", (2, 3), -1), ("first", (2, 3), 0),
                                  ("middle", (2, 3, 2), 1), ("of one", (2, 1), 1),
                                  ("of no rows", (0, 3), 1)]:
            m.case(f"{operator} {name}", operator, [m.x(*shape)],
                   lambda x, axis=axis: function(x, axis), axis=axis)
        m.case(f"{operator} of large numbers", operator, [np.array([[1000.0, 1001.0], [-1000.0, 3.0]])],
               lambda x: function(x, 1))
    for name, shape, axis in [("last", (2, 4), -1), ("last of three", (2, 3, 4), -1),
                              ("last two", (2, 3, 4), 1), ("of no rows", (0, 4), -1)]:
        width = shape[axis:] if axis < 0 else shape[axis:]
        layer = lambda x, s, b=None, w=width: F.layer_norm(x, w, s, b, 1e-5)
        m.case(f"LayerNormalization {name}", "LayerNormalization",
               [m.x(*shape), m.x(*width), m.x(*width)], layer, axis=axis)
        m.case(f"LayerNormalization {name}, without bias", "LayerNormalization",
               [m.x(*shape), m.x(*width)], layer, axis=axis)
    m.case("LayerNormalization with a large epsilon", "LayerNormalization", [m.x(2, 4), m.x(4), m.x(4)],
           lambda x, s, b: F.layer_norm(x, (4,), s, b, 0.5), epsilon=0.5)
