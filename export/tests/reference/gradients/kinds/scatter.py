"""Writing into a tensor, and the largest elements."""

import numpy as np
import torch


def cases(m):
    for name, shape, indices, axis in [("rows", (3, 2), [[2, 0]], 0),
                                       ("columns", (2, 4), [[1, 3], [0, -1]], 1),
                                       ("columns from the end", (2, 3), [[1], [0]], -1)]:
        indices = np.array(indices)
        def put(x, i, u, axis=axis):
            return x.scatter(axis, torch.where(i < 0, i + x.shape[axis], i), u)
        m.case(f"ScatterElements {name}", "ScatterElements", [m.x(*shape), indices, m.x(*indices.shape)],
               put, axis=axis)
        def add(x, i, u, axis=axis):
            return x.scatter_add(axis, torch.where(i < 0, i + x.shape[axis], i), u)
        m.case(f"ScatterElements adds {name}", "ScatterElements",
               [m.x(*shape), indices, m.x(*indices.shape)], add, axis=axis, reduction="add")
    m.case("ScatterElements adds twice", "ScatterElements",
           [m.x(3), np.array([1, 1, 0]), m.x(3)], lambda x, i, u: x.scatter_add(0, i, u),
           reduction="add")
    for name, shape, indices, update in [("rows", (4, 2), [[1], [3]], (2, 2)),
                                         ("elements", (2, 3), [[0, 1], [1, 2]], (2,))]:
        for adds in [False, True]:
            def put(x, i, u, adds=adds):
                return x.index_put(tuple(i.unbind(-1)), u, accumulate=adds)
            m.case(f"ScatterND {'adds ' if adds else ''}{name}", "ScatterND",
                   [m.x(*shape), np.array(indices), m.x(*update)], put,
                   needs_sizes=None, **({"reduction": "add"} if adds else {}))
    for name, shape, count, axis, largest in [("", (2, 5), 2, -1, 1), (" smallest", (3, 4), 1, 1, 0),
                                              (" of rows", (4, 2), 3, 0, 1)]:
        m.case(f"TopK{name}", "TopK", [m.distinct(*shape), np.array([count])],
               lambda x, k, axis=axis, largest=largest: tuple(
                   torch.topk(x, int(k), axis, bool(largest))), axis=axis, largest=largest)
