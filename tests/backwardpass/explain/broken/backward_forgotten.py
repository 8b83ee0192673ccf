"""The optimizer steps, and backward() was never called."""

# cause: backward not run
# needs: recording
import torch
from torch import nn

model = nn.Linear(3, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    loss = model(torch.randn(4, 3)).square().mean()
    optimizer.step()
asked = model.weight
