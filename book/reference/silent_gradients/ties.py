import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([1.0, 1.0], requires_grad=True)


def loss(x):
    return x.max(0).values + x.min(0).values  # of two numbers: their sum


loss(x).backward()
gradient = x.grad
right = torch.ones(2)
print("autograd", gradient)
print("right   ", right)
