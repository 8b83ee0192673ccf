"""A recurrence multiplies by two in each of twenty steps."""

import torch

W = (2 * torch.eye(3)).requires_grad_()
h = torch.ones(1, 3)
for _ in range(20):
    h = h @ W
loss = h.sum()
loss.backward()
