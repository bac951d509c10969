"""Operators that move elements and change shapes."""

import numpy as np
import torch
from torch.nn import functional as F

from inputs import Const


def ints(*values):
    return Const(np.array(values, dtype=np.int64))


def cases(m):
    for name, shape, to, extra in [
        ("flat", (2, 3), (-1,), {}),
        ("split", (2, 6), (0, 2, -1), {}),
        ("of nothing", (0, 3), (0, 3), {"allowzero": 1}),
        ("to a number", (1, 1), (), {}),
        ("same", (2, 3), (2, 3), {}),
    ]:
        sizes = [shape[i] if size == 0 else size for i, size in enumerate(to)]
        m.case(f"Reshape {name}", "Reshape", [m.x(*shape), ints(*to)],
               lambda x, _, sizes=sizes: x.reshape(sizes) * 1, **extra)
    for axis, sizes in [(0, (1, 12)), (1, (2, 6)), (2, (6, 2)), (3, (12, 1)), (-1, (6, 2))]:
        m.case(f"Flatten {axis}", "Flatten", [m.x(2, 3, 2)],
               lambda x, sizes=sizes: x.reshape(sizes) * 1, axis=axis)
    m.case("Flatten nothing", "Flatten", [m.x(0, 3, 2)], lambda x: x.reshape(0, 6) * 1)
    m.case("Squeeze", "Squeeze", [m.x(2, 1, 3, 1), ints(1, -1)], lambda x, _: x.reshape(2, 3) * 1)
    m.case("Squeeze one", "Squeeze", [m.x(1, 3), ints(0)], lambda x, _: x.reshape(3) * 1)
    m.case("Unsqueeze", "Unsqueeze", [m.x(2, 3), ints(0, -1)], lambda x, _: x.reshape(1, 2, 3, 1) * 1)
    m.case("Unsqueeze, out of order", "Unsqueeze", [m.x(2, 3), ints(3, 1)],
           lambda x, _: x.reshape(2, 1, 3, 1) * 1)
    m.case("Unsqueeze a number", "Unsqueeze", [m.x(), ints(0)], lambda x, _: x.reshape(1) * 1)
    m.case("Squeeze of version 13", "Squeeze", [m.x(2, 1, 3), ints(1)],
           lambda x, _: x.reshape(2, 3) * 1, opset=13)
    m.case("Transpose", "Transpose", [m.x(2, 3, 4)], lambda x: x.permute(2, 0, 1) * 1, perm=[2, 0, 1])
    m.case("Transpose without an order", "Transpose", [m.x(2, 3, 2)], lambda x: x.permute(2, 1, 0) * 1)
    m.case("Transpose nothing", "Transpose", [m.x(0, 3)], lambda x: x.T * 1, perm=[1, 0])
    for name, shape, to, full in [
        ("rows", (1, 3), (4, 3), (4, 3)), ("in front", (3,), (2, 1, 3), (2, 1, 3)),
        ("a number", (), (2, 3), (2, 3)), ("not at all", (2, 3), (1, 1), (2, 3)),
        ("to nothing", (1, 3), (0, 3), (0, 3)), ("within", (2, 1, 3), (2, 2, 1), (2, 2, 3)),
    ]:
        m.case(f"Expand {name}", "Expand", [m.x(*shape), ints(*to)],
               lambda x, _, full=full: x.expand(full) * 1)
    m.case("Expand by a shape that is an input", "Expand", [m.x(2, 1), np.array([2, 3])],
           lambda x, _: x.expand(2, 3) * 1, needs_sizes="the number of dimensions is not known")
    concat = lambda axis: lambda *parts: torch.cat(parts, axis)
    m.case("Concat rows", "Concat", [m.x(2, 3), m.x(1, 3), m.x(0, 3)], concat(0), axis=0)
    m.case("Concat columns", "Concat", [m.x(2, 3), m.x(2, 1)], concat(-1), axis=-1)
    m.case("Concat one", "Concat", [m.x(2, 3)], lambda x: x * 1, axis=0)
    m.case("Concat a value with itself", "Concat", [m.x(2, 3)], concat(1), wires=[0, 0, 0], axis=1)
    m.case("Concat with a constant", "Concat", [m.x(2, 3), Const(m.x(2, 2))], concat(1), axis=1)
    split = lambda sizes, axis: lambda x, *_: tuple(p * 1 for p in torch.split(x, sizes, axis))
    m.case("Split", "Split", [m.x(2, 6), ints(1, 2, 3)], split([1, 2, 3], 1), axis=1)
    m.case("Split evenly", "Split", [m.x(2, 6)], split([2, 2, 2], -1), axis=-1, num_outputs=3)
    m.case("Split unevenly", "Split", [m.x(2, 5)], split([3, 2], 1), axis=1, num_outputs=2)
    m.case("Split with an empty part", "Split", [m.x(3, 2), ints(3, 0)], split([3, 0], 0), axis=0)
    m.case("Split, one part unused", "Split", [m.x(2, 4), ints(1, 3)],
           lambda x, _: (x[:, :1] * 1, x[:, 1:].detach()), axis=1)
    m.case("Split of version 13", "Split", [m.x(2, 6)], split([2, 2, 2], 1), opset=13, axis=1)
    m.case("Split of version 13 by sizes", "Split", [m.x(2, 3), ints(1, 2)], split([1, 2], 1),
           opset=13, axis=1)
    far = np.iinfo(np.int64).max
    for name, shape, starts, ends, axes, steps, function in [
        ("rows", (4, 3), [1], [3], [0], None, lambda x: x[1:3]),
        ("from the end", (2, 5), [-3], [-1], [-1], None, lambda x: x[:, -3:-1]),
        ("to the end", (2, 5), [2], [far], [1], None, lambda x: x[:, 2:]),
        ("two dimensions", (3, 4), [1, 0], [3, 2], None, None, lambda x: x[1:3, 0:2]),
        ("every second", (2, 5), [0], [far], [1], [2], lambda x: x[:, ::2]),
        ("backwards", (2, 4), [-1], [-far], [1], [-1], lambda x: x.flip(1)),
        ("backwards by two", (5, 2), [3], [-6], [0], [-2], lambda x: x[[3, 1]]),
        ("all", (2, 3), [0], [far], [0], None, lambda x: x * 1),
        ("nothing", (2, 3), [2], [2], [1], None, lambda x: x[:, 2:2]),
        ("beyond", (2, 3), [1], [99], [1], None, lambda x: x[:, 1:]),
        ("of nothing", (0, 3), [0], [2], [1], None, lambda x: x[:, :2]),
    ]:
        given = [ints(*starts), ints(*ends)]
        given += [ints(*axes)] if axes else [None] if steps else []
        given += [ints(*steps)] if steps else []
        m.case(f"Slice {name}", "Slice", [m.x(*shape), *given],
               lambda x, *_, f=function: f(x) * 1)
    m.case("Slice by inputs", "Slice", [m.x(4, 2), np.array([1]), np.array([3])],
           lambda x, *_: x[1:3] * 1)
    m.case("Pad", "Pad", [m.x(2, 3), ints(1, 0, 0, 2)], lambda x, _: F.pad(x, (0, 2, 1, 0)))
    m.case("Pad with a number", "Pad", [m.x(2, 3), ints(0, 1, 0, 1), Const(np.array(2.5))],
           lambda x, *_: F.pad(x, (1, 1), value=2.5))
    m.case("Pad takes away", "Pad", [m.x(3, 4), ints(-1, 1, 0, -2)],
           lambda x, _: F.pad(x[1:, :2], (1, 0)))
    m.case("Pad some dimensions", "Pad", [m.x(2, 3), ints(1, 2), None, ints(-1)],
           lambda x, *_: F.pad(x, (1, 2)))
    m.case("Pad by an input", "Pad", [m.x(2, 3), np.array([1, 0, 0, 2])],
           lambda x, _: F.pad(x, (0, 2, 1, 0)))
    m.case("Pad nothing", "Pad", [m.x(0, 3), ints(1, 0, 1, 0)], lambda x, _: F.pad(x, (0, 0, 1, 1)))
    m.case("Trilu", "Trilu", [m.x(3, 4)], torch.triu)
    m.case("Trilu, lower and shifted", "Trilu", [m.x(2, 3, 3), Const(np.array(1))],
           lambda x, _: torch.tril(x, 1), upper=0)
