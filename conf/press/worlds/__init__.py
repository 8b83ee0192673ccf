"""What claims are tried on: worlds, each described in one sentence, and the cases drawn from them.

A case is a script.  It defines names, such as ``leaves`` and ``roots``; a falsifier is a function
whose parameters are some of these names.  What is printed when a claim falls is therefore what
ran.  A world draws the same case from the same seed, in every process.

The worlds are ``programs`` (``leaves``, ``roots``), ``operations`` (``operation``, ``call``,
``args``, ``kwargs``), ``values`` (``x``), ``states`` (``x``, ``mode``) and ``models`` (``model``,
``x``, ``output``, ``loss``).
"""

from press.worlds.case import Case, Script, World
from press.worlds.models import models
from press.worlds.operations import operations
from press.worlds.programs import Program, programs
from press.worlds.states import states
from press.worlds.values import values

__all__ = [
    "Case",
    "Program",
    "Script",
    "World",
    "models",
    "operations",
    "programs",
    "states",
    "values",
]
