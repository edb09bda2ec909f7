"""What an experiment needs beside the library."""

import importlib.util


def require_matplotlib() -> None:
    """Raises if there is nothing to draw with.

    Raises:
      ValueError: with the command that installs it.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError(
            "The pictures need matplotlib: pip install -e '.[experiments]'."
        )
