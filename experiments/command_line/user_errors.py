"""Mistakes of the user: one line, no stack trace."""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """Ends the program with the message of an error raised inside.

    For the part of a program that reads and checks what the user gave. The
    errors of the library name the argument, what came and what was expected.
    """
    try:
        yield
    except (ValueError, TypeError, OSError) as error:
        sys.exit(f"Error: {error}")
