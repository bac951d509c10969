"""Matrix products."""

import torch

from inputs import Const


def cases(m):
    for name, a, b in [
        ("of matrices", (2, 3), (3, 4)),
        ("of a batch and a matrix", (2, 2, 3), (3, 4)),
        ("of two batches and a matrix", (2, 1, 2, 3), (3, 2)),
        ("of a matrix and a batch", (2, 3), (2, 3, 4)),
        ("of batches", (2, 2, 3), (2, 3, 2)),
        ("of batches, both repeated", (2, 1, 2, 3), (3, 3, 2)),
        ("of a batch of one", (1, 2, 3), (2, 3, 2)),
        ("of vectors", (3,), (3,)),
        ("of a matrix and a vector", (2, 3), (3,)),
        ("of a vector and a matrix", (3,), (3, 2)),
        ("of a batch and a vector", (2, 2, 3), (3,)),
        ("of a vector and a batch", (3,), (2, 3, 2)),
        ("of one row", (1, 3), (3, 1)),
        ("of no rows", (0, 3), (3, 2)),
        ("of an empty batch", (0, 2, 3), (3, 2)),
        ("over nothing", (2, 0), (0, 3)),
    ]:
        m.case(f"MatMul {name}", "MatMul", [m.x(*a), m.x(*b)], torch.matmul)
    m.case("MatMul of a value and itself", "MatMul", [m.x(3, 3)], torch.matmul, wires=[0, 0])
    m.case("MatMul by a constant", "MatMul", [m.x(2, 3), Const(m.x(3, 2))], torch.matmul)
    for a in [0, 1]:
        for b in [0, 1]:
            def gemm(x, w, *c, a=a, b=b):
                y = 0.5 * ((x.T if a else x) @ (w.T if b else w))
                return y + 1.5 * c[0] if c else y
            x, w = m.x(*((3, 2) if a else (2, 3))), m.x(*((4, 3) if b else (3, 4)))
            settings = dict(alpha=0.5, beta=1.5, transA=a, transB=b)
            for name, c in [("", (2, 4)), (", a row added", (4,)), (", a column added", (2, 1)),
                            (", a number added", (1,))]:
                m.case(f"Gemm {a}{b}{name}", "Gemm", [x, w, m.x(*c)], gemm, **settings)
            m.case(f"Gemm {a}{b}, nothing added", "Gemm", [x, w], gemm, **settings)
    m.case("Gemm", "Gemm", [m.x(2, 3), m.x(3, 4), m.x(4)], lambda x, w, c: x @ w + c)
    m.case("Gemm of no rows", "Gemm", [m.x(0, 3), m.x(3, 4), m.x(4)], lambda x, w, c: x @ w + c)
