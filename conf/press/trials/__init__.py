"""Evidence that is gathered apart from a build: each package measures, keeps, compares."""
