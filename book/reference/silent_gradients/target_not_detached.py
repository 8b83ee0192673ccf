import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.0], requires_grad=True)  # the weights of a value
now, later, reward = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.0]), 0.7


def loss(x):
    target = reward + 0.9 * (later @ x)  # should stand still
    return (now @ x - target) ** 2


loss(x).backward()
gradient = x.grad
p = x.detach()
right = 2 * (now @ p - reward - 0.9 * (later @ p)) * now
print("autograd", gradient)
print("right   ", right)
