"""A penalty on a scale is added as a Python number."""

# cause: left PyTorch
import torch
from torch import nn

model, scale = nn.Linear(3, 2), nn.Parameter(torch.tensor(2.0))
penalty = 0.1 * (scale**2).item()  # here
loss = model(torch.randn(4, 3)).square().mean() + penalty
loss.backward()
asked = scale
