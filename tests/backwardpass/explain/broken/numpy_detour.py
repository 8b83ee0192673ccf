"""Weights are normalized with NumPy on the way."""

# cause: left PyTorch
import numpy as np
import torch
from torch import nn

logits, model = nn.Parameter(torch.randn(3)), nn.Linear(3, 3)
weights = logits.detach().numpy()  # here
weights = torch.from_numpy(np.exp(weights) / np.exp(weights).sum())
loss = (model(torch.randn(4, 3)) * weights).sum()
loss.backward()
asked = logits
