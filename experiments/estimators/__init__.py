"""Sampled against exact derivatives."""
