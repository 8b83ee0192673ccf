import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([1e-6, 2e-6], requires_grad=True)


def loss(x):
    return (1 + x / 2 + x**2 / 6).sum()  # exact to 1e-18 here


loss(x).backward()
gradient = x.grad
right = 1 / 2 + x.detach() / 3
print("autograd", gradient)
print("right   ", right)
