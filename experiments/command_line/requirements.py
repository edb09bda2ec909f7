"""What an experiment needs beside the library."""

import importlib.util


def require_matplotlib() -> None:
    """Raises if there is nothing to draw with."""
    require("matplotlib", "The pictures need", "experiments")


def require(module: str, need: str, extra: str) -> None:
    """Raises if an optional library is missing.

    Args:
      module: what is imported.
      need: start of the message, up to the module's name.
      extra: of setup.py, which installs it.

    Raises:
      ValueError: with the command that installs it.
    """
    if importlib.util.find_spec(module) is None:
        raise ValueError(f"{need} {module}: pip install -e '.[{extra}]'.")
