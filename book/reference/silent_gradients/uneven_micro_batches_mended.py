import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.0], requires_grad=True)
data = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 4.0], [2.0, 2.0], [-1.0, 3.0]])


def loss(x, rows=data):
    return (rows @ x).square().mean()


for part in data.split(2):
    (loss(x, part) * len(part) / len(data)).backward()
gradient = x.grad
right = 2 / 5 * data.T @ (data @ x.detach())
print("autograd", gradient)
print("right   ", right)
