"""Checks, what was measured against what is required, and text tables."""

import json
import math
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

# Every command imports this before its flags are parsed, and few need NumPy.
if TYPE_CHECKING:
    import numpy as np


# Of an error about a damaged file, which may show all of it.
_MOST_CHARACTERS = 200


class Check(NamedTuple):
    """One entry of `checks` in summary.json.

    Attributes:
      name: what was measured.
      measured: the number.
      required: the bound, such as ">= 0.99".
      passed: whether the number keeps to it.
    """

    name: str
    measured: float
    required: str
    passed: bool


def at_least(name: str, measured: float, bound: float) -> Check:
    """Requires a number not below a bound; NaN fails."""
    return Check(name, measured, f">= {bound:g}", bool(measured >= bound))


def agrees_with_at_least(
    name: str, values: Sequence[float], bound: float
) -> Check:
    """Requires a mean not below a bound by more than 2 standard errors.

    For a bound that was itself measured: the expectation may lie on it, and
    a mean of few values on either side. NaN fails.
    """
    import numpy as np

    mean = float(np.mean(values))
    error = float(np.std(values, ddof=1) / np.sqrt(len(values)))
    required = f">= {bound:g} - 2 standard errors of {error:.4f}"
    return Check(name, mean, required, bool(mean >= bound - 2.0 * error))


def above(name: str, measured: float, bound: float) -> Check:
    """Requires a number above a bound; NaN fails."""
    return Check(name, measured, f"> {bound:g}", bool(measured > bound))


def at_most(name: str, measured: float, bound: float) -> Check:
    """Requires a number not above a bound; NaN fails."""
    return Check(name, measured, f"<= {bound:g}", bool(measured <= bound))


def in_standard_errors(values: "np.ndarray") -> float:
    """Returns a mean in standard errors; NaN for a single value, or all 0."""
    import numpy as np

    if len(values) == 1:
        return np.nan
    error = values.std(ddof=1) / np.sqrt(len(values))
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(values.mean() / error)


def summary(checks: Sequence[Check]) -> dict[str, Any]:
    """Returns the content of summary.json."""
    return {"checks": checks}


def read_checks(path: pathlib.Path) -> list[Check]:
    """Returns the checks of a summary.json, with NaN for what is null.

    Raises:
      ValueError: if the file cannot be read, or is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [_checked(Check(**entry)) for entry in content.get("checks", ())]
    except Exception as error:
        # A user may have written it: which error it is depends on what.
        reason = str(error)[:_MOST_CHARACTERS] or type(error).__name__
        raise ValueError(
            f"{str(path)!r} is not the summary of a run, or is damaged: "
            f"{reason}. Replace the run with --overwrite."
        ) from error


def _checked(check: Check) -> Check:
    """Returns a check whose entries are of the kinds that they must have."""
    measured = math.nan if check.measured is None else float(check.measured)
    return Check(
        str(check.name), measured, str(check.required), bool(check.passed)
    )


def as_table(checks: Sequence[Check]) -> str:
    """Returns one line per check, in columns, for the terminal."""
    rows = [["check", "measured", "required", ""]]
    for check in checks:
        verdict = "passed" if check.passed else "FAILED"
        measured = f"{check.measured:.5f}"
        rows.append([check.name, measured, check.required, verdict])
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Returns rows of text as a table, its columns aligned on the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows
    )
