"""The loss is the share of wrong predictions, which has no derivative."""

# cause: no derivative
# raises: does not require grad
import torch
from torch import nn

model = nn.Linear(3, 4)
x, target = torch.randn(6, 3), torch.tensor([0, 1, 2, 3, 0, 1])
predicted = model(x).argmax(dim=-1)  # here
loss = (predicted != target).float().mean()
asked = model.weight
loss.backward()
