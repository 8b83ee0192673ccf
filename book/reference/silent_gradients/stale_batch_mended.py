import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.0], requires_grad=True)
data = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 4.0], [2.0, 2.0]])


def loss(x, rows=data[2:]):
    return (rows @ x).square().mean()


for batch in data.split(2):
    x.grad = None
    loss(x, batch).backward()
gradient = x.grad
right = data[2:].T @ (data[2:] @ x.detach())
print("autograd", gradient)
print("right   ", right)
