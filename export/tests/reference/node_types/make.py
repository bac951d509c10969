"""Writes the types that the `onnx` package's own node test cases have.

    python make.py

Needs onnx and numpy (made with 1.23 and 2.5). A line of types.json is one case of version 18
of the operator set or newer: its name, operator, attributes, inputs (type, shape, and the
elements of small integer and scale inputs) and the types and shapes of its outputs.
"""

import json
import re
from pathlib import Path

import numpy as np
from onnx import helper
from onnx.backend.test.case.node import collect_testcases

HERE = Path(__file__).parent
KNOWN = {"float32", "float64", "float16", "int64", "int32", "bool", "int8", "uint8"}
SOURCES = sorted((HERE / "../../../src/graph/infer").glob("*.rs"))


def operators():
    """Names in the tables of the inference."""
    text = "".join(path.read_text() for path in SOURCES)
    return set(re.findall(r'"([A-Z][A-Za-z0-9]+)"', text))


def attribute(value):
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (int, float, str)):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(v, int) for v in value):
        return list(value)
    return None


def main():
    known, rows, per_operator = operators(), [], {}
    for case in collect_testcases(None):
        model = case.model
        if model is None or len(model.graph.node) != 1 or not case.data_sets:
            continue
        node = model.graph.node[0]
        if node.op_type not in known or node.domain not in ("", "ai.onnx"):
            continue
        attributes = {a.name: attribute(helper.get_attribute_value(a)) for a in node.attribute}
        if any(value is None for value in attributes.values()):
            continue
        given, expected = case.data_sets[0]
        if not all(isinstance(a, np.ndarray) or np.isscalar(a) for a in [*given, *expected]):
            continue
        given, expected = [np.asarray(a) for a in given], [np.asarray(a) for a in expected]
        if any(str(a.dtype) not in KNOWN for a in [*given, *expected]):
            continue
        if per_operator.get(node.op_type, 0) >= 8:
            continue
        per_operator[node.op_type] = per_operator.get(node.op_type, 0) + 1
        queue, inputs = list(given), []
        for name in node.input:
            if not name:
                inputs.append(None)
                continue
            array = queue.pop(0)
            row = [str(array.dtype), list(array.shape)]
            small = array.size <= 8 and array.ndim <= 1 and len(inputs) > 0
            if small and (array.dtype == np.int64 or "scales" in name):
                row.append([float(v) if array.dtype.kind == "f" else int(v) for v in array.ravel()])
            inputs.append(row)
        outputs = [[str(a.dtype), list(a.shape)] for a in expected]
        names = [name for name in node.output]
        if len(names) != len(outputs):
            continue
        opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        rows.append([case.name, node.op_type, opset, attributes, inputs, outputs])
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    (HERE / "types.json").write_text(f"[\n{lines}\n]\n")
    print(len(rows), "cases of", len(per_operator), "operators")


if __name__ == "__main__":
    main()
