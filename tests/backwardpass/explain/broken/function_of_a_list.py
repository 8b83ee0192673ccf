"""A Function gets its tensors in a list, which apply() does not look into."""

# cause: inside a function
import torch


class Sum(torch.autograd.Function):
    @staticmethod
    def forward(parts, scale):
        return (parts[0] + parts[1]) * scale  # here

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx, u):
        return None, u.sum()


a, b = torch.randn(3, requires_grad=True), torch.randn(3, requires_grad=True)
loss = Sum.apply([a, b], torch.tensor(2.0, requires_grad=True)).sum()
loss.backward()
asked = a
