import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([3.0, 4.0], requires_grad=True)
c = torch.tensor([1.0, 2.0])


def loss(x):
    length = x.detach().norm()  # "only a scale"
    return (c * x / length).sum()


loss(x).backward()
gradient = x.grad
n = 5.0
right = c / n - x.detach() * (c @ x.detach()) / n**3
print("autograd", gradient)
print("right   ", right)
