"""Claims, what they are tried on, and the proof that a trial can fail.

``record`` has what a falsifier declares, ``trial`` tries one claim and makes a counterexample
smaller, ``paste`` prints it as a script, ``kept`` stores results under keys, ``run`` is the
command.  Falsifiers are content: they lie in ``book/reference/claims/falsifiers``.

Cases come from the generators of ``press.worlds`` and not from hypothesis 6.170, which was tried
on three planted errors with five seeds and 200 examples each; the two draw programs in proportions
of their own.  Two ready nodes with one number: both found it five times, after 23 examples and
after 12.  A gradient that lies in a seed's memory: five times, after 23 and 25.  A second pass
through a written view: hypothesis three times of five, after 95; the generators five times, after
36.  How small either makes a counterexample was not compared.
"""

from press.trials.claims.record import Claim, Control, Exempt, Refused, assume, claim, control

__all__ = ["Claim", "Control", "Exempt", "Refused", "assume", "claim", "control"]
