"""Change the hand-derived side of every comparison, one place at a time, and see it caught.

``judge.slices`` finds what computes that side, ``operators`` says how a place can be wrong,
``fork`` runs mutants in forked children, ``scripts`` puts the three together for gallery scripts,
``results`` keeps, judges and prints what came of it.  Only ``fork`` and ``scripts`` import torch.
"""
