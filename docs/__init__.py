"""The documentation, and the command that builds it."""
