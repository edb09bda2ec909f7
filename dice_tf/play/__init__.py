"""Actors, trajectories, rollouts and exact values."""
