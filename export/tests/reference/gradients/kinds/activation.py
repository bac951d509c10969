"""Activation functions."""

import torch
from torch.nn import functional as F


def cases(m):
    def one(operator, function, kind="float32", **attributes):
        for name, shape in [("", (2, 3)), (" of nothing", (0, 3)), (" of one number", ())]:
            m.case(f"{operator}{name} {attributes or ''}".strip(), operator, [m.x(*shape)], function,
                   kind=kind, **attributes)

    double = "float64"
    one("Relu", F.relu, double)
    one("LeakyRelu", lambda x: F.leaky_relu(x, 0.01))
    one("LeakyRelu", lambda x: F.leaky_relu(x, 0.25), alpha=0.25)
    one("Elu", F.elu)
    one("Elu", lambda x: F.elu(x, 0.5), alpha=0.5)
    one("Sigmoid", torch.sigmoid, double)
    one("Tanh", torch.tanh, double)
    one("Erf", torch.erf)
    one("Gelu", F.gelu)
    one("Gelu", lambda x: F.gelu(x, approximate="tanh"), approximate="tanh")
    one("Softplus", F.softplus)
    one("Softsign", F.softsign)
    one("HardSigmoid", lambda x: (0.2 * x + 0.5).clamp(0, 1))
    one("HardSigmoid", lambda x: (0.75 * x + 0.25).clamp(0, 1), alpha=0.75, beta=0.25)
    one("Mish", F.mish)
    one("Selu", F.selu)
    one("Celu", F.celu)
    one("Celu", lambda x: F.celu(x, 0.5), alpha=0.5)
    one("ThresholdedRelu", lambda x: torch.where(x > 1, x, 0))
    for alpha in [1.0, 0.5]:
        m.case(f"Swish {alpha}", "Swish", [m.x(2, 3)], lambda x, a=alpha: x * torch.sigmoid(a * x),
               kind="float32", opset=24, alpha=alpha)
    m.case("HardSwish in its three parts", "HardSwish", [m.x(12, low=-5, high=5)], F.hardswish,
           kind="float32")
    m.case("Relu at 0", "Relu", [[0.0, -1.0, 2.0]], F.relu, smooth=False)
    prelu = lambda x, s: torch.where(x > 0, x, s * x)
    for name, x, slope in [
        ("slope of one number", m.x(2, 3), m.x(1)),
        ("slope for each channel", m.x(2, 3, 2), m.x(3, 1)),
        ("slope of the same shape", m.x(2, 3), m.x(2, 3)),
    ]:
        m.case(f"PRelu, {name}", "PRelu", [x, slope], prelu, kind="float32")
