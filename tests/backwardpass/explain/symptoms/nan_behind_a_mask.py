"""A root is masked after it was taken: the loss is finite, and the gradient NaN."""

import torch

x = torch.tensor([4.0, 0.0, 9.0], requires_grad=True)
loss = torch.where(x > 0, x.sqrt(), 0.0).sum()
loss.backward()
