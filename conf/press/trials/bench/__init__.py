"""How long a build takes, and how long ``trace`` takes beside other packages."""
