import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.0], requires_grad=True)


def loss(x):
    return (x**3).sum()


for _step in range(2):
    x.grad = None
    loss(x).backward()
gradient = x.grad
right = 3 * x.detach() ** 2
print("autograd", gradient)
print("right   ", right)
