"""Calls that hang, or end their process: for a process of their own.

It imports no more than it needs, since every such process does.
"""

import os
import time

from benchmarks import fuzzing


def prepare() -> None:
    """There is nothing to prepare."""


def call(case: fuzzing.Case) -> tuple[str, str]:
    """Does what the value says."""
    if case.value == "hangs":
        time.sleep(600.0)
    if case.value == "dies":
        os._exit(3)
    return fuzzing.WORKS, ""
