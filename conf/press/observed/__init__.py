"""What was observed of a script: typed records, and where they are kept beside its page."""
