"""What claims are tried on: worlds, each described in one sentence, and the cases drawn from them.

A case is a script.  It defines names, such as ``leaves`` and ``roots``; a falsifier is a function
whose parameters are some of these names.  What is printed when a claim falls is therefore what
ran.  A world draws the same case from the same seed, in every process.
"""

from press.worlds.case import Case, Script, World
from press.worlds.programs import Program, programs

__all__ = [
    "Case",
    "Program",
    "Script",
    "World",
    "programs",
]
