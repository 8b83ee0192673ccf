"""Two parameters are put into one tensor by torch.tensor."""

# cause: copied
# raises: does not require grad
import torch

a, b = torch.tensor(1.0, requires_grad=True), torch.tensor(2.0, requires_grad=True)
both = torch.tensor([a, b])  # here
loss = (both * torch.tensor([3.0, 4.0])).sum()
asked = a
loss.backward()
