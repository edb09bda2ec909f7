"""Payoffs of a user's own game, from the command line or a file."""

import json
import pathlib

import numpy as np
from absl import flags


def given_payoffs(values: flags.FlagValues) -> np.ndarray | None:
    """Returns what --payoffs holds, `None` where --game counts.

    Raises:
      ValueError: if both are given, or these are no payoffs.
    """
    if values.payoffs is None:
        return None
    if values["game"].present:
        raise ValueError("--game and --payoffs exclude each other.")
    return read_payoffs(values.payoffs)


def read_payoffs(text: str) -> np.ndarray:
    """Reads payoffs `[num_players, A_1, ..., A_N]`.

    Args:
      text: JSON, or the path of a .json or .npy file.

    Returns:
      A float64 array of rank num_players + 1.

    Raises:
      ValueError: if this is no such array, or the file cannot be read.
    """
    try:
        payoffs = np.asarray(_read(text), np.float64)
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(
            "--payoffs must be one array of numbers, as JSON or as the path "
            f"of a .json or .npy file. Received: {text!r} ({error})."
        ) from error
    if payoffs.ndim < 2 or len(payoffs) != payoffs.ndim - 1 or not payoffs.size:
        raise ValueError(
            "--payoffs must have shape [num_players, A_1, ..., A_N]: one "
            "entry, and one action axis, per player. Received shape "
            f"{list(payoffs.shape)}."
        )
    with np.errstate(over="ignore"):
        are_finite = np.isfinite(payoffs.astype(np.float32))
    if not np.all(are_finite):
        raise ValueError(
            "--payoffs must be finite, in float32. Received NaN, infinity or a "
            f"number of more than {np.finfo(np.float32).max:.3g}."
        )
    return payoffs


def _read(text: str) -> object:
    path = pathlib.Path(text)
    if path.suffix == ".npy":
        return np.load(path, allow_pickle=False)
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    return json.loads(text)
