"""Learners side by side, against references."""
