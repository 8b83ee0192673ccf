import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([4.0, -1.0, 9.0], requires_grad=True)


def loss(x):
    return torch.where(x > 0, x.sqrt(), 0.0).sum()


loss(x).backward()
gradient = x.grad
right = torch.tensor([1 / 4, 0.0, 1 / 6])
print("autograd", gradient)
print("right   ", right)
