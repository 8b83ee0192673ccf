import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)


class Triple(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 3 * x

    @staticmethod
    def backward(ctx, u):
        return u.mul_(3)  # the other branch is handed the same tensor


def loss(x):
    h = x * 1
    return ((Triple.apply(x) + h) ** 2).sum()


f = Triple.apply
loss(x).backward()
gradient = x.grad
right = 32 * x.detach()  # of (4 x) ** 2
print("autograd", gradient)
print("right   ", right)
