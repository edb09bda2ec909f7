"""What the trainer is made of: an iteration, and what it reads and changes."""

__all__: list[str] = []
