"""Writes what PyTorch's autograd gives for single operators.

    python make.py [KIND...]

Needs torch, numpy, onnx and onnxruntime (made with 2.15, 2.5, 1.23 and 1.32). Each module
of `kinds` becomes KIND.json, a list of cases. PyTorch computes in float64, from inputs
rounded to the type that the case is run in: float64, or float32 where ONNX Runtime has no
float64 form of an operator of the case. Outputs are checked against ONNX Runtime here, so
that a case which misstates the operator is found before it is written.
"""

import importlib
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from inputs import Const
from onnx import helper

HERE = Path(__file__).parent
KINDS = sorted(path.stem for path in (HERE / "kinds").glob("*.py"))
TOLERANCE = {"float64": 1e-9, "float32": 2e-5}
OPSET = 20


class Maker:
    def __init__(self, kind):
        self.kind = kind
        self.cases = []
        self.random = np.random.default_rng(zlib.crc32(kind.encode()))

    def x(self, *shape, low=-2.0, high=2.0):
        """Numbers of three decimals, none of them 0."""
        values = np.round(self.random.uniform(low, high, shape), 3)
        return np.where(values == 0, 0.5, values)

    def distinct(self, *shape):
        """Numbers that all differ, by 0.05 at least."""
        count = int(np.prod(shape))
        return np.round((self.random.permutation(count) - count / 2 + 0.3) * 0.05, 3).reshape(shape)

    def case(self, name, operator, inputs, function, *, wires=None, opset=OPSET, kind="float64",
             smooth=True, needs_sizes=None, tolerance=None, **attributes):
        inputs = [None if x is None else x if isinstance(x, Const) else np.asarray(x) for x in inputs]
        held = [x.array if isinstance(x, Const) else x for x in inputs]
        held = [x if x is None or x.dtype.kind != "f" else x.astype(kind) for x in held]
        tensors = []
        for given, array in zip(inputs, held):
            if array is None:
                tensors.append(None)
                continue
            tensor = torch.from_numpy(np.array(array))
            if array.dtype.kind == "f":
                tensor = tensor.double()
                tensor.requires_grad_(not isinstance(given, Const))
            tensors.append(tensor)
        order = wires or range(len(inputs))
        outputs = function(*[tensors[at] for at in order])
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        seeds, loss = [], 0.0
        for output in outputs:
            if output is None or not output.is_floating_point() or not output.requires_grad:
                seeds.append(None)
                continue
            seed = np.round(self.random.uniform(-1, 1, tuple(output.shape)), 2)
            seeds.append(seed)
            loss = loss + (output * torch.from_numpy(np.asarray(seed))).sum()
        asked = [at for at, t in enumerate(tensors) if t is not None and t.requires_grad]
        gradients = torch.autograd.grad(loss, [tensors[at] for at in asked], allow_unused=True)
        found = self.forward(operator, [held[at] for at in order], attributes, opset, len(outputs))
        for mine, its in zip(outputs, found):
            if mine is None:
                continue
            mine = mine.detach().numpy()
            assert mine.shape == its.shape, (name, mine.shape, its.shape)
            close = np.allclose(mine, its, rtol=1e-9 if kind == "float64" else 2e-5,
                                atol=1e-9 if kind == "float64" else 2e-5)
            assert close, (name, mine, its)
        digits = 13 if kind == "float64" else 7
        case = {"name": name, "operator": operator}
        if opset != OPSET:
            case["opset"] = opset
        if attributes:
            case["attributes"] = attributes
        case["inputs"] = [
            None if array is None else {
                "type": str(array.dtype),
                **written(array, 7),
                **({"constant": True} if type(given) is Const else {}),
            }
            for given, array in zip(inputs, held)
        ]
        if wires:
            case["wires"] = wires
        case["seeds"] = [None if seed is None else written(seed, 10) for seed in seeds]
        case["outputs"] = [
            None if output is None else written(output.detach().numpy(), digits) for output in outputs
        ]
        case["gradients"] = {
            str(at): written(gradient.numpy(), digits)
            for at, gradient in zip(asked, gradients) if gradient is not None
        }
        case["tolerance"] = tolerance or TOLERANCE[kind]
        if not smooth:
            case["smooth"] = False
        if needs_sizes:
            case["needs_sizes"] = needs_sizes
        self.cases.append(case)

    def forward(self, operator, inputs, attributes, opset, count):
        names = ["" if array is None else f"i{at}" for at, array in enumerate(inputs)]
        outputs = [f"o{at}" for at in range(count)]
        graph = helper.make_graph(
            [helper.make_node(operator, names, outputs, **attributes)],
            "case",
            [
                helper.make_tensor_value_info(
                    name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                for name, array in zip(names, inputs) if name
            ],
            [helper.make_empty_tensor_value_info(name) for name in outputs],
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run(None, {name: a for name, a in zip(names, inputs) if name})


def written(array, digits):
    array = np.asarray(array)
    if array.dtype.kind == "f":
        values = [float(f"{v:.{digits}g}") for v in array.ravel()]
        values = [int(v) if v == int(v) else v for v in values]
    else:
        values = [int(v) for v in array.ravel()]
    return {"shape": list(array.shape), "values": values}


def main():
    sys.path.insert(0, str(HERE))
    for kind in sys.argv[1:] or KINDS:
        maker = Maker(kind)
        importlib.import_module(f"kinds.{kind}").cases(maker)
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in maker.cases)
        (HERE / f"{kind}.json").write_text(f"[\n{lines}\n]\n")
        print(kind, len(maker.cases))


if __name__ == "__main__":
    main()
