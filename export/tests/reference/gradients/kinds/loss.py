"""Cross-entropy as one operator."""

import numpy as np
import torch
from torch.nn import functional as F

from inputs import Fixed


def cases(m):
    for shape, labels in [((3, 4), [1, 3, 0]), ((2, 3, 2), [[0, 2], [1, 1]]), ((1, 2), [1])]:
        labels = np.array(labels)
        for reduction in ["mean", "sum", "none"]:
            for ignore in [None, -1, 1]:
                if ignore == 1 and labels.size == 1:
                    continue
                given = labels.copy()
                if ignore == -1 and labels.size > 1:
                    given.flat[0] = -1
                for weighted in [False, True]:
                    settings = dict(reduction=reduction)
                    index = -100
                    if ignore is not None:
                        index = settings["ignore_index"] = ignore
                    name = f"{shape} {reduction} {ignore} {'weighted' if weighted else ''}".strip()
                    weight = [Fixed(m.x(shape[1], low=0.2))] if weighted else []
                    m.case(f"SoftmaxCrossEntropyLoss {name}", "SoftmaxCrossEntropyLoss",
                           [m.x(*shape), given, *weight],
                           lambda x, y, w=None: F.cross_entropy(
                               x, y, w, ignore_index=index, reduction=reduction), **settings)
                    if shape == (2, 3, 2):
                        m.case(f"NegativeLogLikelihoodLoss {name}", "NegativeLogLikelihoodLoss",
                               [m.x(*shape), given, *weight],
                               lambda x, y, w=None: F.nll_loss(
                                   x, y, w, ignore_index=index, reduction=reduction), **settings)
    def both(x, y):
        return F.cross_entropy(x, y), F.log_softmax(x, 1).detach()
    m.case("SoftmaxCrossEntropyLoss with its logarithms", "SoftmaxCrossEntropyLoss",
           [m.x(2, 3), np.array([2, 0])], both)
