"""forward() wraps a result in a Parameter, where a new graph begins."""

# cause: new leaf
import torch
from torch import nn


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = nn.Parameter(torch.randn(3))

    def forward(self, x):
        self.doubled = nn.Parameter(self.base * 2)  # here
        return x * self.doubled


model = Tied()
loss = model(torch.randn(4, 3)).square().mean()
loss.backward()
asked = model.base
