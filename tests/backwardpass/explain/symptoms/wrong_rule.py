"""A Function returns twice what it should: record shows the factor the node makes."""

import torch


class Identity(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, u):
        return 2 * u


x = torch.tensor([3.0, 4.0], requires_grad=True)
loss = Identity.apply(x).sum()
loss.backward()
