import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)


def loss(x):
    scale = torch.tensor([3.0, 4.0, 5.0])
    buffer = scale.numpy()  # shares memory
    total = (x * scale).sum()
    buffer[:] = 0.0  # used again
    return total


loss(x).backward()
gradient = x.grad
right = torch.tensor([3.0, 4.0, 5.0])
print("autograd", gradient)
print("right   ", right)
