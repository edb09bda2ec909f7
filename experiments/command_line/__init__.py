"""The shell: what flags may hold, and how mistakes are answered."""
