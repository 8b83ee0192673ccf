import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.0, -1.0, 2.0], requires_grad=True)


def loss(x):
    return (torch.relu(x) - torch.relu(-x)).sum()  # that is x


loss(x).backward()
gradient = x.grad
right = torch.ones(3)
print("autograd", gradient)
print("right   ", right)
