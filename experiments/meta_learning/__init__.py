"""Tasks and runs of MAML."""
