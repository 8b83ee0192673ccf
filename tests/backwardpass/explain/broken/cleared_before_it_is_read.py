"""Gradients are logged after zero_grad()."""

# cause: cleared
# needs: recording
import torch
from torch import nn

model = nn.Linear(3, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loss = model(torch.randn(4, 3)).square().mean()
loss.backward()
optimizer.step()
optimizer.zero_grad()  # here
asked = model.weight
