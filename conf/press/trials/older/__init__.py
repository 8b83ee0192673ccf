"""What an older PyTorch shows otherwise, measured by running the book's programs there."""
