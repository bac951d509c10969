"""Weights quantised by onnxruntime.quantization, an independent reference.

python make.py   writes weights.json and convolution.json beside this file (onnxruntime 1.32, onnx 1.23)
"""

import json
import pathlib
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
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


OUT, IN, KERNEL, LENGTH = 6, 4, 3, 12


class One(CalibrationDataReader):
    """One input, once."""

    def __init__(self, x):
        self.inputs = [{"x": x}]

    def get_next(self):
        return self.inputs.pop() if self.inputs else None


def convolution():
    """A convolution in QDQ form, a scale an output channel."""
    i = np.arange(OUT * IN * KERNEL, dtype=np.int64)
    w = ((i * 7919 + 104729) % 2003 - 1001) * (1 + i // (IN * KERNEL))
    # The last channel has weights so small that its bias is no 32-bit integer in their steps.
    w = np.where(i // (IN * KERNEL) == OUT - 1, w / 2**45, w / 4096)
    w = w.astype(np.float32).reshape(OUT, IN, KERNEL)
    b = ((np.arange(OUT) * 37 % 11 - 5) / 8).astype(np.float32)
    x = ((np.arange(IN * LENGTH) * 5 % 23 - 9) / 8).astype(np.float32).reshape(1, IN, LENGTH)
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], kernel_shape=[KERNEL], pads=[1, 1])
    info = lambda name, n: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n, LENGTH])
    inits = [numpy_helper.from_array(w, "w"), numpy_helper.from_array(b, "b")]
    graph = helper.make_graph([node], "g", [info("x", IN)], [info("y", OUT)], inits)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/a.onnx", f"{folder}/b.onnx"
        onnx.save(made, source)
        quantize_static(
            source, target, One(x), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            extra_options={"QuantizeBias": True, "AdjustWeightScaleForInt32Bias": True},
        )
        found = tensors(onnx.load(target))
        session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
        y = session.run(None, {"x": x})[0]
    plain = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    exact = plain.run(None, {"x": x})[0]
    numbers = lambda a: [float(v) for v in a.ravel()]
    return {
        "dims": list(w.shape), "weight": numbers(w), "bias": numbers(b),
        "x": numbers(x), "x_range": [float(x.min()), float(x.max())],
        "y_range": [float(exact.min()), float(exact.max())],
        "int8": found["w_quantized"].astype(int).ravel().tolist(),
        "scale": numbers(found["w_scale"]),
        "int32": found["b_quantized"].astype(int).ravel().tolist(),
        "x_scale": float(found["x_scale"]), "x_zero": int(found["x_zero_point"]),
        "y_scale": float(found["y_scale"]), "y_zero": int(found["y_zero_point"]),
        "y": numbers(y),
    }


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
    path.with_name("convolution.json").write_text(json.dumps(convolution()) + "\n")


main()
