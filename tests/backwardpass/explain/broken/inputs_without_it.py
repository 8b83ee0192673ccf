"""backward() is told to write to the weight alone."""

# cause: left out
# needs: recording
import torch
from torch import nn

model = nn.Linear(3, 2)
loss = model(torch.randn(4, 3)).square().mean()
loss.backward(inputs=[model.weight])  # here
asked = model.bias
