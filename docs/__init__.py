"""The documentation, and the commands that build it and its tables."""
