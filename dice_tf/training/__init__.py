"""The parts of the trainer: one step of a run, and what it acts on."""

__all__: list[str] = []
