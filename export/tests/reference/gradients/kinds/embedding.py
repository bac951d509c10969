"""Look-ups."""

import numpy as np
import torch

from inputs import Const


def cases(m):
    def gather(x, i, axis):
        axis = axis % x.dim()
        i = torch.where(i < 0, i + x.shape[axis], i)
        flat = torch.index_select(x, axis, i.reshape(-1))
        return flat.reshape(x.shape[:axis] + i.shape + x.shape[axis + 1:])

    for name, shape, indices, axis in [
        ("rows", (4, 3), [[0, 2], [2, -1]], 0),
        ("one row", (4, 3), 1, 0),
        ("columns", (2, 4), [3, 0, 3], 1),
        ("of the last dimension", (2, 3, 4), [[1, 1], [0, -2]], -1),
        ("of the middle dimension", (2, 3, 2), [2, 0], 1),
        ("one of the last dimension", (2, 3), -1, -1),
        ("nothing", (4, 3), np.zeros((0,), int), 0),
        ("of a vector", (4,), [1, 1, 1], 0),
    ]:
        indices = np.array(indices)
        for kind, given in [("constant", Const(indices)), ("input", indices)]:
            m.case(f"Gather {name}, {kind}", "Gather", [m.x(*shape), given],
                   lambda x, i, axis=axis: gather(x, i, axis), axis=axis)

    for name, shape, indices, axis in [
        ("rows", (3, 2), [[0, 2], [2, 2]], 0),
        ("columns", (2, 3), [[0, -1, 0, 1], [2, 2, 2, 0]], 1),
        ("fewer rows", (3, 3), [[0, 1]], -1),
    ]:
        def elements(x, i, axis=axis):
            return torch.gather(x, axis, torch.where(i < 0, i + x.shape[axis], i))
        m.case(f"GatherElements {name}", "GatherElements", [m.x(*shape), np.array(indices)], elements,
               axis=axis)

    for name, shape, indices, batch, function in [
        ("elements", (2, 3), [[0, 1], [1, 2], [0, 1]], 0, lambda x, i: x[i[:, 0], i[:, 1]]),
        ("rows", (3, 2), [[[0], [2]], [[2], [-1]]], 0, lambda x, i: x[i[..., 0]]),
        ("in batches", (2, 3), [[1], [0]], 1,
         lambda x, i: x[torch.arange(2), i[:, 0]]),
        ("several in batches", (2, 3, 2), [[[1], [1]], [[0], [2]]], 1,
         lambda x, i: x[torch.arange(2)[:, None], i[..., 0]]),
    ]:
        for kind in [Const, lambda i: i]:
            given = kind(np.array(indices))
            named = "constant" if isinstance(given, Const) else "input"
            depends = None if named == "constant" else "GatherND"
            m.case(f"GatherND {name}, {named}", "GatherND", [m.x(*shape), given], function,
                   needs_sizes=depends, batch_dims=batch)
