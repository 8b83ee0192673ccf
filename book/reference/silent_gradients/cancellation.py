import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([1e-6, 2e-6], requires_grad=True)


def loss(x):
    return ((torch.exp(x) - 1) / x).sum()


loss(x).backward()
gradient = x.grad
right = 1 / 2 + x.detach() / 3  # of the series
print("autograd", gradient)
print("right   ", right)
