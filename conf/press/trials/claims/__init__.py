"""Claims, what they are tried on, and the proof that a trial can fail.

``record`` has what a falsifier declares, ``trial`` tries one claim and makes a counterexample
smaller, ``paste`` prints it as a script, ``kept`` stores results under keys, ``run`` is the
command.  Falsifiers are content: they lie in ``book/reference/claims/falsifiers``.

Cases come from the generators of ``press.worlds``.
"""

from press.trials.claims.record import Claim, Control, Exempt, Refused, assume, claim, control

__all__ = ["Claim", "Control", "Exempt", "Refused", "assume", "claim", "control"]
