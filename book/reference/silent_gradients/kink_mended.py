import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.0, -1.0, 2.0], requires_grad=True)


def loss(x):
    zero = torch.zeros_like(x)
    return (torch.maximum(x, zero) - torch.maximum(-x, zero)).sum()  # half on each side


loss(x).backward()
gradient = x.grad
right = torch.ones(3)
print("autograd", gradient)
print("right   ", right)
