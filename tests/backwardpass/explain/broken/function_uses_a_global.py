"""A Function uses a parameter that apply() was not given."""

# cause: inside a function
import torch

weight = torch.randn(3, requires_grad=True)


class Weighted(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * weight  # here

    @staticmethod
    def backward(ctx, u):
        return u * weight.detach()


x = torch.randn(3, requires_grad=True)
loss = Weighted.apply(x).sum()
loss.backward()
asked = weight
