"""Operators that turn many elements into one."""

import numpy as np
import torch

from inputs import Const


def reduced(function):
    """A function of (x, axes, keep) as one of PyTorch's."""

    def run(x, axes, keep):
        axes = tuple(range(x.dim())) if axes is None else tuple(axes)
        return function(x, axes, keep) if x.dim() else function(x[None], (0,), False)

    return run


FUNCTIONS = {
    "ReduceSum": lambda x, a, k: x.sum(a, k),
    "ReduceMean": lambda x, a, k: x.mean(a, k),
    "ReduceMax": lambda x, a, k: x.amax(a, k),
    "ReduceMin": lambda x, a, k: x.amin(a, k),
    "ReduceL1": lambda x, a, k: x.abs().sum(a, k),
    "ReduceL2": lambda x, a, k: torch.linalg.vector_norm(x, 2, a, k),
    "ReduceSumSquare": lambda x, a, k: (x * x).sum(a, k),
    "ReduceLogSum": lambda x, a, k: x.sum(a, k).log(),
    "ReduceLogSumExp": lambda x, a, k: torch.logsumexp(x, a, k),
    "ReduceProd": lambda x, a, k: product(x, a, k),
}


def product(x, axes, keep):
    for axis in sorted((a % x.dim() for a in axes), reverse=True):
        x = x.prod(axis, keep)
    return x


def cases(m):
    for operator, function in FUNCTIONS.items():
        function = reduced(function)
        positive = dict(low=0.3) if operator == "ReduceLogSum" else {}
        for name, shape, axes, keep in [
            ("over the last dimension", (2, 3), [-1], 1),
            ("over the first dimension, dropped", (2, 3), [0], 0),
            ("over two dimensions", (2, 3, 2), [0, -1], 1),
            ("over two dimensions, dropped", (2, 3, 2), [-1, 0], 0),
            ("over all", (2, 3), None, 1),
            ("over all, dropped", (2, 3), None, 0),
            ("over one element", (2, 1), [1], 1),
            ("of a number", (), None, 0),
            ("of no rows", (0, 3), [1], 0),
        ]:
            inputs = [m.x(*shape, **positive)] + ([] if axes is None else [Const(np.array(axes))])
            m.case(f"{operator} {name}", operator, inputs,
                   lambda x, *_, a=axes, k=keep: function(x, a, bool(k)), keepdims=keep)
        if operator != "ReduceSum":
            m.case(f"{operator}, axes as an attribute", operator, [m.x(2, 3, 2, **positive)],
                   lambda x: function(x, [1], False), opset=13, axes=[1], keepdims=0)
            m.case(f"{operator} of version 13 over all", operator, [m.x(2, 3, **positive)],
                   lambda x: function(x, None, True), opset=13)
        else:
            m.case("ReduceSum of version 13", operator, [m.x(2, 3), Const(np.array([1]))],
                   lambda x, _: x.sum(1), opset=13, keepdims=0)
    m.case("ReduceSum over nothing on request", "ReduceSum", [m.x(2, 3)], lambda x: x * 1,
           noop_with_empty_axes=1)
    m.case("ReduceSum over no rows", "ReduceSum", [m.x(0, 3), Const(np.array([0]))],
           lambda x, _: x.sum(0), keepdims=0)
    for operator, function in [("ReduceMax", torch.amax), ("ReduceMin", torch.amin)]:
        m.case(f"{operator} of equal elements", operator,
               [np.array([[1.0, 1.0, 1.0], [2.0, 0.5, 0.5]]), Const(np.array([1]))],
               lambda x, _: function(x, 1), keepdims=0, smooth=False)
    m.case("ReduceL2 of zeros", "ReduceL2", [np.zeros((2, 2)), Const(np.array([1]))],
           lambda x, _: torch.linalg.vector_norm(x, 2, 1), keepdims=0, smooth=False)
    m.case("ReduceLogSumExp of large numbers", "ReduceLogSumExp",
           [np.array([[900.0, 901.0], [-900.0, -902.0]]), Const(np.array([1]))],
           lambda x, _: torch.logsumexp(x, 1), keepdims=0)
    m.case("ReduceProd with zeros", "ReduceProd",
           [np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 1.5], [1.0, 2.0, -3.0]]), Const(np.array([1]))],
           lambda x, _: x.prod(1), keepdims=0)
