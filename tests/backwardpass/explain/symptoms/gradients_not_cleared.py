"""zero_grad() is forgotten: every step adds to the gradient of the one before."""

import torch
from torch import nn

model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    model(torch.randn(5, 3)).square().mean().backward()
    optimizer.step()
