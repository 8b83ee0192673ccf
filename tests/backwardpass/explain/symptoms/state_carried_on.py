"""A state goes from one step to the next, and the second pass enters the first graph."""

import torch
from torch import nn

cell, h = nn.RNNCell(3, 2), torch.zeros(1, 2)
for _ in range(2):
    h = cell(torch.randn(1, 3), h)
    loss = h.square().sum()
    loss.backward()  # here
