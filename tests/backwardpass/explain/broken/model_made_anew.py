"""The model is made again between the forward pass and the look at its gradients."""

# cause: bound to another tensor
import torch
from torch import nn


def make():
    return nn.Linear(3, 2)  # here


model = make()
loss = model(torch.randn(4, 3)).square().mean()
model = make()
loss.backward()
asked = model.weight
