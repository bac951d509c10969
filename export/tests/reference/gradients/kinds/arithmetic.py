"""Arithmetic on pairs of elements, and selection."""

import numpy as np
import torch

from inputs import Const, Fixed

PAIRS = [
    ("of one shape", (2, 3), (2, 3)),
    ("left repeated", (3,), (2, 3)),
    ("right repeated", (2, 3), (2, 1)),
    ("both repeated", (2, 1, 3), (4, 1)),
    ("a number on the left", (), (2, 3)),
    ("ones in front", (1, 1, 3), (3,)),
    ("nothing and a row", (0, 3), (3,)),
    ("nothing and ones", (0, 1), (1, 3)),
]


def cases(m):
    for operator, function in [("Add", torch.add), ("Sub", torch.sub), ("Mul", torch.mul),
                               ("Div", torch.div)]:
        for name, a, b in PAIRS:
            m.case(f"{operator} {name}", operator,
                   [m.x(*a), m.x(*b, low=0.5)], function)
        m.case(f"{operator} of a value and itself", operator, [m.x(2, 3, low=0.5)], function, wires=[0, 0])
        m.case(f"{operator} by a constant", operator, [m.x(2, 3), Const(m.x(3, low=0.5))], function)
        m.case(f"{operator} of a constant", operator, [Const(m.x(2, 3)), m.x(3, low=0.5)], function)
    for name, a, b in PAIRS:
        m.case(f"Pow {name}", "Pow", [m.x(*a, low=0.5), m.x(*b)], torch.pow)
    m.case("Pow of a value and itself", "Pow", [m.x(2, 3, low=0.5)], torch.pow, wires=[0, 0])
    for exponent in [0.0, 1.0, 2.0, 3.0, 0.5, -1.0]:
        m.case(f"Pow by {exponent}", "Pow", [m.x(2, 3, low=0.5), Const(np.array(exponent))], torch.pow)
    for exponent in [0.0, 1.0, 2.0, 3.0, 4.0]:
        m.case(f"Pow of 0 and negative numbers by {exponent}", "Pow",
               [np.array([0.0, -1.5, 2.0]), Const(np.array(exponent))], torch.pow)
    m.case("Pow of 0, trained exponent", "Pow", [Fixed([0.0, 1.5]), np.array([2.0, 2.0])], torch.pow)
    m.case("Pow by an integer", "Pow", [m.x(2, 3), Const(np.array(2))], torch.pow)
    m.case("Pow by integers", "Pow", [m.x(2, 3), Const(np.array([1, 2, 3]))], torch.pow)

    add = lambda *v: sum(v[1:], v[0])
    m.case("Sum of one", "Sum", [m.x(2, 3)], add)
    m.case("Sum of three", "Sum", [m.x(2, 3), m.x(3), m.x(2, 1)], add)
    m.case("Sum of one value thrice", "Sum", [m.x(2, 3)], add, wires=[0, 0, 0])
    m.case("Mean of three", "Mean", [m.x(2, 3), m.x(3), m.x(2, 1)], lambda *v: add(*v) / 3,
           kind="float32")
    for operator, function in [("Max", torch.maximum), ("Min", torch.minimum)]:
        for name, a, b in PAIRS:
            m.case(f"{operator} {name}", operator, [m.x(*a), m.x(*b)], function)
        m.case(f"{operator} of equal numbers", operator,
               [np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 3.0])], function, smooth=False)
        m.case(f"{operator} of a value and itself", operator, [m.x(3)], function, wires=[0, 0],
               smooth=False)
        m.case(f"{operator} of one", operator, [m.x(2, 3)], lambda x: x * 1)
        m.case(f"{operator} of three", operator, [m.x(2, 3), m.x(3), m.x(2, 1)],
               lambda a, b, c: function(function(a, b), c))
        m.case(f"{operator} with a constant", operator, [m.x(2, 3), Const(np.array(0.25))], function)
    m.case("Mod", "Mod", [m.x(2, 3, low=0.5), Const(np.array(0.7))], torch.fmod, fmod=1)

    for operator, function in [
        ("Neg", torch.neg), ("Abs", torch.abs), ("Sqrt", torch.sqrt), ("Exp", torch.exp),
        ("Log", torch.log), ("Reciprocal", torch.reciprocal), ("Sin", torch.sin),
        ("Cos", torch.cos), ("Identity", lambda x: x * 1),
    ]:
        for name, shape in [("", (2, 3)), (" of nothing", (2, 0)), (" of one number", ())]:
            m.case(f"{operator}{name}", operator, [m.x(*shape, low=0.2)], function)
    m.case("Abs at 0", "Abs", [[0.0, -1.0, 2.0]], torch.abs, smooth=False)

    for name, c, a, b in [
        ("of one shape", (2, 3), (2, 3), (2, 3)),
        ("of numbers", (2, 3), (), ()),
        ("repeated all ways", (2, 1, 1), (3, 1), (4,)),
        ("of nothing", (0, 3), (3,), (1, 3)),
    ]:
        condition = np.asarray(m.x(*c) > 0)
        m.case(f"Where {name}", "Where", [condition, m.x(*a), m.x(*b)], torch.where)
    m.case("Where of a value and itself", "Where", [np.array([True, False]), m.x(2)],
           torch.where, wires=[0, 1, 1])

    bounds = [Const(np.array(-0.5)), Const(np.array(1.0))]
    m.case("Clip", "Clip", [m.x(3, 4), *bounds], torch.clamp)
    m.case("Clip from below", "Clip", [m.x(3, 4), bounds[0]], lambda x, low: x.clamp(min=float(low)))
    m.case("Clip from above", "Clip", [m.x(3, 4), None, bounds[1]],
           lambda x, _, high: x.clamp(max=float(high)))
    m.case("Clip to nothing", "Clip", [m.x(3)], lambda x: x * 1)
    m.case("Clip at its bounds", "Clip", [[-0.5, 1.0, 0.0], *bounds],
           lambda x, *_: x.clamp(-0.5, 1.0), smooth=False)
    m.case("Cast", "Cast", [m.x(2, 3)], lambda x: x.float().double(), kind="float32", to=1)
    m.case("CastLike", "CastLike", [m.x(2, 3), Fixed(m.x(1))], lambda x, _: x * 1)
    m.case("Dropout outside training", "Dropout", [m.x(2, 3), Const(np.array(0.5))],
           lambda x, _: x * 1)
    m.case("Dropout in training, nothing dropped", "Dropout",
           [m.x(2, 3), Const(np.array(0.0)), Const(np.array(True))], lambda x, *_: x * 1)
