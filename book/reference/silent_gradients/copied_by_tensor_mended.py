import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([3.0, 4.0], requires_grad=True)


def loss(x):
    both = x * 2
    return (both * x).sum()


loss(x).backward()
gradient = x.grad
right = 4 * x.detach()
print("autograd", gradient)
print("right   ", right)
