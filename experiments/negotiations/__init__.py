"""Negotiation by self-play: training, matches and pictures."""
