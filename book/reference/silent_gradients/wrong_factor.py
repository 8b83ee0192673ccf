import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, u):
        return 3 * u * ctx.saved_tensors[0]


def loss(x):
    return Cube.apply(x).sum()


loss(x).backward()
gradient = x.grad
right = 3 * x.detach() * x.detach()
print("autograd", gradient)
print("right   ", right)
