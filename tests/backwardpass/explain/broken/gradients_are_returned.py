"""torch.autograd.grad is called, and its result thrown away."""

# cause: autograd.grad
# needs: recording
import torch
from torch import nn

model = nn.Linear(3, 2)
loss = model(torch.randn(4, 3)).square().mean()
torch.autograd.grad(loss, list(model.parameters()))  # here
asked = model.weight
