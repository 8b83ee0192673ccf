"""``python -m press`` builds the book: see ``publish.build``."""

from press.publish.build import main

raise SystemExit(main())
