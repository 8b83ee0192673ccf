import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([[1.0], [2.0], [4.0]], requires_grad=True)  # predictions, (N, 1)
target = torch.tensor([1.0, 2.5, 3.0])  # (N,)


def loss(x):
    return (x - target).square().mean()  # (N, N)


loss(x).backward()
gradient = x.grad
right = 2 / 3 * (x.detach() - target[:, None])
print("autograd", gradient.T)
print("right   ", right.T)
