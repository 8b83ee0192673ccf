"""A running loss is kept as a tensor: the graph of every step stays."""

import torch
from torch import nn

model, total, totals = nn.Linear(3, 1), 0.0, []
for _ in range(4):
    total = total + model(torch.randn(5, 3)).square().mean()
    totals.append(total)
