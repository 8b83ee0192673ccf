import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)  # weights
data = torch.tensor([3.0, 1.0, -2.0])


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, data, weight):
        ctx.save_for_backward(weight)
        return data * weight

    @staticmethod
    def backward(ctx, u):
        (weight,) = ctx.saved_tensors
        return u * weight, None  # "the weight is only a number"


def loss(x):
    return Scale.apply(data, x).sum() + (x**2).sum()


loss(x).backward()
gradient = x.grad
right = data + 2 * x.detach()
print("autograd", gradient)
print("right   ", right)
