"""The shell: how commands run, and what their flags may hold."""
