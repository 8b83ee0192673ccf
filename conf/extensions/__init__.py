"""The extensions of this book, one idea a file.

``ledger`` watches comparisons, ``replay`` sabotages autograd, ``gates`` says what fails a build,
``observation`` puts the three around one run of one script.  Those four know nothing of Sphinx.
The other modules carry what was observed onto the pages.
"""
