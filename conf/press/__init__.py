"""The machine that makes the book, from scripts that are watched to pages that are published.

``project``, ``keys``, ``fences``, ``kept`` and ``programs`` are what the others stand on.
``watch`` runs a script under observation, ``judge`` says what fails a build, ``observed`` keeps
what was seen.  ``gallery``, ``show`` and ``page`` carry it onto the pages, in the order of
``timeline``; ``publish`` runs the whole.  ``trials`` gather evidence apart from any build.
"""
