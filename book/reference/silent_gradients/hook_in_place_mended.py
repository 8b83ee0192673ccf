import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
c = torch.tensor([1.0, -2.0, 3.0])
largest = []


def loss(x):
    a, b = x * 2, x * 3
    if a.requires_grad:
        a.register_hook(lambda gradient: largest.append(gradient.abs().max()))
    return (c * (a + b)).sum()


loss(x).backward()
gradient = x.grad
right = 5 * c
print("autograd", gradient)
print("right   ", right)
