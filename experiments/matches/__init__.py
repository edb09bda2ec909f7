"""Matches and tournaments: who takes part, and the results."""
