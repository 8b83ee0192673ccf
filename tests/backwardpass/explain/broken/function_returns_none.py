"""A Function of two inputs forgets the gradient of the second."""

# cause: function returned None
# needs: recording
import torch


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x, factor)
        return x * factor

    @staticmethod
    def backward(ctx, u):  # here
        _, factor = ctx.saved_tensors
        return u * factor, None


x, log_factor = torch.randn(4, requires_grad=True), torch.tensor(0.5, requires_grad=True)
loss = Scale.apply(x, log_factor.exp() * 1.5).sum()
loss.backward()
asked = log_factor
