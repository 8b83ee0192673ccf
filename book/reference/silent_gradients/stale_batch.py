import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([0.5, -1.0], requires_grad=True)
data = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 4.0], [2.0, 2.0]])
rows = data[:2]  # left over from a trial


def loss(x):
    return (rows @ x).square().mean()


for _batch in data.split(2):
    x.grad = None
    loss(x).backward()  # never looks at the batch
gradient = x.grad
right = data[2:].T @ (data[2:] @ x.detach())  # of the last batch
print("autograd", gradient)
print("right   ", right)
