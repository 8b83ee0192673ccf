import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
plotted = []


def loss(x):
    y = torch.sigmoid(x)
    total = y.sum()
    plotted.append(y.detach().clamp(max=0.6))  # a new tensor
    return total


loss(x).backward()
gradient = x.grad
s = 1 / (1 + torch.exp(-x.detach()))
right = s * (1 - s)
print("autograd", gradient)
print("right   ", right)
