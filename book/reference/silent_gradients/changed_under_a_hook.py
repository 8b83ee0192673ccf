import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)


def loss(x):
    y = x * 1
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        total = (y**2).sum()
    y.zero_()  # noticed, if it were not for the hooks
    return total


loss(x).backward()
gradient = x.grad
right = 2 * x.detach()
print("autograd", gradient)
print("right   ", right)
