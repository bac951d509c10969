"""Checks step.onnx, a training step in ONNX's own form, with the `onnx` package: the network and
the whole of network and algorithm pass `onnx.checker`, and four steps of ONNX's reference
evaluator, by the update binding, give the losses and weights of PyTorch.

    python export/tests/reference/training_info/check.py
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def evaluator(graph, model):
    whole = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    onnx.checker.check_model(whole, full_check=True)
    return ReferenceEvaluator(whole)


def numbers(count, step):
    return np.array([i * step % 17 / 17 - 0.45 for i in range(count)], np.float32)


def main():
    model = onnx.load(Path(__file__).parent / "step.onnx")
    onnx.checker.check_model(model, full_check=True)
    [information] = model.training_info
    algorithm = information.algorithm

    # As the specification says: the lists of both graphs, one after the other.
    whole = onnx.GraphProto(name="whole")
    for part in (model.graph, algorithm):
        for field in ("node", "initializer", "input", "output", "value_info"):
            getattr(whole, field).extend(getattr(part, field))
    state = {binding.key: None for binding in information.update_binding}
    for tensor in whole.initializer:
        if tensor.name in state:
            state[tensor.name] = numpy_helper.to_array(tensor)
    # The evaluator takes values of initializers where they are inputs too.
    for name, value in state.items():
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        whole.input.append(helper.make_tensor_value_info(name, kind, value.shape))
    step = evaluator(whole, model)

    begun = evaluator(information.initialization, model).run(None, {})
    names = [output.name for output in information.initialization.output]
    begun = dict(zip(names, begun))
    for binding in information.initialization_binding:
        np.testing.assert_array_equal(begun[binding.value], state[binding.key])
        state[binding.key] = begun[binding.value]

    x, labels = numbers(18, 11).reshape(6, 3), np.arange(6) % 4
    weights = {name: torch.tensor(state[name], requires_grad=True) for name in ("w1", "b1", "w2")}
    decayed = [weights["w1"], weights["w2"]]
    groups = [{"params": decayed}, {"params": [weights["b1"]], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.05, weight_decay=0.01)
    outputs = [output.name for output in whole.output]
    for _ in range(4):
        given = {"x": x, "labels": labels.astype(np.int64), "learning_rate": np.float32(0.05)}
        found = dict(zip(outputs, step.run(None, given | state)))
        state = {b.key: found[b.value] for b in information.update_binding}
        optimizer.zero_grad()
        hidden = torch.tanh(torch.tensor(x) @ weights["w1"] + weights["b1"])
        loss = torch.nn.functional.cross_entropy(hidden @ weights["w2"], torch.tensor(labels))
        loss.backward()
        optimizer.step()
        np.testing.assert_allclose(found["loss"], loss.item(), rtol=1e-5)
        for name, weight in weights.items():
            np.testing.assert_allclose(state[name], weight.detach(), rtol=1e-4, atol=1e-6)
    network = evaluator(model.graph, model).run(None, {"x": x})
    print(f"{len(model.graph.node)} and {len(algorithm.node)} operators, logits {network[0].shape}")


if __name__ == "__main__":
    main()
