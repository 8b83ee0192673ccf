"""A Function of the first layer raises in the middle of the pass."""

# cause: pass raised
# needs: recording
# raises: no gradient here
import torch
from torch import nn


class Stop(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, u):
        raise ValueError("no gradient here")


model = nn.Linear(3, 2)
asked = model.weight
loss = Stop.apply(model(torch.randn(4, 3))).sum()
loss.backward()  # here
