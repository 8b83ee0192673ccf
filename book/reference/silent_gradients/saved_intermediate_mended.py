import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)


class Sinh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x.exp() - (-x).exp()) / 2

    @staticmethod
    def backward(ctx, u):
        (x,) = ctx.saved_tensors
        return u * (x.exp() + (-x).exp()) / 2  # computed again, and recorded


def loss(x):
    (slope,) = torch.autograd.grad(Sinh.apply(x).square().sum(), x, create_graph=True)
    return slope.sum()


f = Sinh.apply
loss(x).backward()
gradient = x.grad
right = 2 * torch.cosh(2 * x.detach())
print("autograd", gradient)
print("right   ", right)
