"""``python -m press`` builds the book: see ``publish.build``."""

from press.publish.build import main

if __name__ == "__main__":
    raise SystemExit(main())
