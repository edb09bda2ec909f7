"""Meta-learning: tasks, training and runs of MAML."""
