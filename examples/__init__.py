"""Short scripts that show the library at work, each with a `main`."""
