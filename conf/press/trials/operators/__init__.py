"""Check the rules of ``backwardpass.vjps`` on the samples of PyTorch's own test suite.

``python -m press.trials.operators.run`` checks them all, ``... softmax cumprod`` those; the build
runs it when a rule, a case or the harness changed, and shows the result.
"""
