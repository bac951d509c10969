"""Weights quantised by onnxruntime.quantization, an independent reference.

python make.py   writes weights.json beside this file (onnxruntime 1.32, onnx 1.23)
"""

import json
import pathlib
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import (
    DefaultWeightOnlyQuantConfig,
    MatMulNBitsQuantizer,
)

ROWS, COLUMNS, BLOCK = 64, 8, 32


def weight():
    """Exact in float32: multiples of 1/4096 whose size differs by column."""
    i = np.arange(ROWS * COLUMNS, dtype=np.int64)
    values = ((i * 7919 + 104729) % 2003 - 1001) * (1 + i % COLUMNS)
    return (values / 4096).astype(np.float32).reshape(ROWS, COLUMNS)


def model(w):
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", ROWS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", COLUMNS])],
        [numpy_helper.from_array(w, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def tensors(m):
    return {t.name: numpy_helper.to_array(t) for t in m.graph.initializer}


def main():
    w = weight()
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/a.onnx", f"{folder}/b.onnx"
        onnx.save(model(w), source)
        quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8)
        byte = tensors(onnx.load(target))
    config = DefaultWeightOnlyQuantConfig(block_size=BLOCK, is_symmetric=False, bits=4)
    quantizer = MatMulNBitsQuantizer(model(w), algo_config=config)
    quantizer.process()
    found = list(tensors(quantizer.model.model).values())
    packed = next(t for t in found if t.dtype == np.uint8 and t.ndim == 3)
    scale = next(t for t in found if t.dtype == np.float32).reshape(COLUMNS, -1)
    zero = next(t for t in found if t.dtype == np.uint8 and t.ndim != 3).reshape(COLUMNS, -1)
    both = lambda a: np.stack([a & 15, a >> 4], -1)
    numbers = both(packed).reshape(COLUMNS, ROWS // BLOCK, BLOCK).astype(np.float32)
    zeros = both(zero).reshape(COLUMNS, -1)[:, : ROWS // BLOCK].astype(np.float32)
    back = ((numbers - zeros[..., None]) * scale[..., None]).reshape(COLUMNS, ROWS).T
    out = {
        "rows": ROWS,
        "columns": COLUMNS,
        "block": BLOCK,
        "weight_times_4096": (w * 4096).astype(int).ravel().tolist(),
        "int8": byte["w_quantized"].astype(int).ravel().tolist(),
        "int8_scale": [float(v) for v in byte["w_scale"]],
        "int4_squared_error": float(((back - w).astype(np.float64) ** 2).sum()),
    }
    path = pathlib.Path(__file__).with_name("weights.json")
    path.write_text(json.dumps(out) + "\n")


main()
