import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -800.0], requires_grad=True)


def loss(x):
    return torch.sigmoid(x).sum()


loss(x).backward()
gradient = x.grad
e = torch.exp(-x.detach().abs())
right = e / (1 + e) ** 2
print("autograd", gradient)
print("right   ", right)
