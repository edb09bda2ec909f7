"""Searches for settings: spaces, trials and the storage that workers share."""
