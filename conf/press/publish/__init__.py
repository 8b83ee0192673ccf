"""One build from start to finish: what is built, how it is written, and when it is published."""
