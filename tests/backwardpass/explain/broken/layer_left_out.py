"""A layer is made, given to the optimizer, and not called."""

# cause: not used
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        return self.first(self.first(x).relu())


model = Model()
loss = model(torch.randn(4, 3)).square().mean()
loss.backward()
asked = model.second.weight
