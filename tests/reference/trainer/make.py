"""Writes regression.json: a linear regression trained by PyTorch.

Mean squared error, SGD with momentum 0.9, batches of different sizes, the first
weights of tests/src/training.rs. Run in this folder with torch 2.15.
"""

import json

import torch

torch.manual_seed(5)
w = torch.tensor([[0.5], [-0.25]], requires_grad=True)
b = torch.tensor([0.125], requires_grad=True)
optimizer = torch.optim.SGD([w, b], lr=0.05, momentum=0.9)
truth = torch.tensor([[2.0], [-3.0]])
batches, losses = [], []
for step in range(12):
    n = [4, 7, 1, 5][step % 4]
    x = torch.randn(n, 2)
    y = x @ truth + 0.7 + 0.05 * torch.randn(n, 1)
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(x @ w + b, y)
    loss.backward()
    optimizer.step()
    batches.append({"x": x.tolist(), "y": y.flatten().tolist()})
    losses.append(loss.item())
moments = [optimizer.state[p]["momentum_buffer"].flatten().tolist() for p in (w, b)]
with open("regression.json", "w") as file:
    json.dump(
        {
            "rate": 0.05,
            "batches": batches,
            "losses": losses,
            "w": w.detach().flatten().tolist(),
            "b": b.tolist(),
            "m_w": moments[0],
            "m_b": moments[1],
        },
        file,
        indent=1,
    )
    file.write("\n")
