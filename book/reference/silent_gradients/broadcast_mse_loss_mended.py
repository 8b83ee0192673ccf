import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([[1.0], [2.0], [4.0]], requires_grad=True)
target = torch.tensor([1.0, 2.5, 3.0])


def loss(x):
    return torch.nn.functional.mse_loss(x, target[:, None])


loss(x).backward()
gradient = x.grad
right = 2 / 3 * (x.detach() - target[:, None])
print("autograd", gradient.T)
print("right   ", right.T)
