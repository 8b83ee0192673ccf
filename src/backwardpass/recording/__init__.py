"""Backward passes, observed while they run."""
