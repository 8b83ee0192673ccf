"""What fails a build: the gates, and the failures they find."""
