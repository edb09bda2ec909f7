"""Experiments: flags in, files out. Run one with `python -m` or `dice-tf`."""
