"""Flags, defaults, and the settings that they give."""
