"""Finished runs side by side: estimates, tables, pictures and a page."""
