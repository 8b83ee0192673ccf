"""backward() is called on the loss of the batch before."""

# cause: other loss
# needs: recording
import torch
from torch import nn

model = nn.Linear(3, 2)
previous = model(torch.randn(4, 3)).square().mean()
hidden = model(torch.randn(4, 3))
hidden.retain_grad()
loss = hidden.square().mean()
previous.backward()  # here
asked = hidden
