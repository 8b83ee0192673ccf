import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7]], requires_grad=True)
y = torch.zeros(3, 2, requires_grad=True)
weight = torch.arange(1.0, 7)


def loss(x):
    return ((x.view(6) + y.view(6)) * weight).sum() / 2


for _batch in range(2):  # two micro-batches that happen to be alike
    loss(x).backward()  # x.grad and y.grad are views of one cotangent
gradient = x.grad / 2
right = weight.view(2, 3) / 2
print("autograd", gradient)
print("right   ", right)
