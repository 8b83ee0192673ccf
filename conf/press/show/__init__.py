"""The directives, one a file: they show what was observed, tried or measured."""
