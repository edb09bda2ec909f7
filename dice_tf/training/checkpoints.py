"""Checkpoints of a trainer: one file, whole or not there.

A zip archive of what `keras.Model.save_weights` writes (parameters, critics,
what learners and optimisers remember, the iteration, the curves) and of
`metadata.json`, which tells whose it is. It is written beside its place,
flushed to the disk and renamed: whenever a process dies, the file at the path
is the last whole one. The archive's checksums show what was damaged later.
"""

import json
import os
import pathlib
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from dice_tf.version import __version__

_VERSION = 1
_METADATA = "metadata.json"
_WEIGHTS = "trainer.weights.h5"
_MOST_DIFFERENCES = 8


def save_checkpoint(
    trainer: keras.Model,
    path: str | os.PathLike,
    configuration: Any = None,
    progress: Any = None,
) -> None:
    """Writes all that training has changed, in place of an earlier file.

    Args:
      trainer: a compiled `dice_tf.Trainer`.
      path: the file.
      configuration: JSON, what else must be the same to continue.
      progress: JSON, what to hand back on loading.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = _identity(trainer, configuration) | {
        "versions": _versions(),
        "progress": progress,
    }
    weights, unfinished = _unfinished(path)
    trainer.save_weights(weights)
    with open(unfinished, "wb") as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(_METADATA, json.dumps(metadata, default=str))
            archive.write(weights, _WEIGHTS)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
    weights.unlink()
    _flush_folder(path.parent)


def load_checkpoint(
    trainer: keras.Model, path: str | os.PathLike, configuration: Any = None
) -> Any:
    """Puts a trainer where another one was; it is changed wholly or not at all.

    Args:
      trainer: a compiled `dice_tf.Trainer`, built like the one saved.
      path: the file.
      configuration: what was given to `save_checkpoint`.

    Returns:
      The `progress` given to `save_checkpoint`.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is damaged, or that of another training; the message
        tells what differs.
    """
    metadata, weights = _read(pathlib.Path(path))
    expected = _as_json(_identity(trainer, configuration))
    found = {key: metadata.get(key) for key in expected}
    differences = list(_differences("", found, expected))
    if differences:
        shown = "; ".join(differences[:_MOST_DIFFERENCES])
        more = len(differences) - _MOST_DIFFERENCES
        raise ValueError(
            f"The checkpoint {str(path)!r} is that of another training: "
            f"{shown}{f'; and {more} more' if more > 0 else ''}. Continue with "
            "the same settings, or remove it to start anew."
        )
    if metadata["versions"] != _versions():
        warnings.warn(
            f"The checkpoint {str(path)!r} was written by "
            f"{metadata['versions']}, and this is {_versions()}: training "
            "continues, but not bit by bit as it would have.",
            stacklevel=2,
        )
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / _WEIGHTS
        file.write_bytes(weights)
        trainer.load_weights(file)
    return metadata["progress"]


def delete_checkpoint(path: str | os.PathLike) -> None:
    """Removes a checkpoint, and what an unfinished one has left."""
    path = pathlib.Path(path)
    for own in (path, *_unfinished(path)):
        own.unlink(missing_ok=True)


def _unfinished(path: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Returns where the weights and the archive are written at first.

    The names are always the same, so that nothing piles up.
    """
    return (
        path.with_name(f"{path.name}-unfinished.weights.h5"),
        path.with_name(f"{path.name}-unfinished"),
    )


def _flush_folder(folder: pathlib.Path) -> None:
    """Makes a renaming last, where folders can be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(path: pathlib.Path) -> tuple[dict[str, Any], bytes]:
    """Returns the metadata and the weights of an undamaged file."""
    try:
        # Reading a member checks its checksum.
        with zipfile.ZipFile(path) as archive:
            metadata = json.loads(archive.read(_METADATA))
            weights = archive.read(_WEIGHTS)
    except FileNotFoundError:
        raise
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"{str(path)!r} is no checkpoint of a trainer, or is damaged: "
            f"{error}. Remove it to start anew."
        ) from error
    return metadata, weights


def _identity(trainer: keras.Model, configuration: Any) -> dict[str, Any]:
    """Returns what must be the same to continue."""
    if not getattr(trainer, "compiled", False):
        raise ValueError(
            "A trainer must be compiled before it is saved to a checkpoint or "
            "restored: optimisers are part of its state."
        )
    return {
        "version": _VERSION,
        "num_seeds": trainer.num_seeds,
        "seed": trainer.seed,
        "learners": [type(own).__name__ for own in trainer.learners],
        "variables": {
            f"{player.name}/{variable.name}": _shape(variable)
            for player in trainer.players
            for variable in player.variables
        },
        "optimizer": list(map(_optimizer, trainer.player_optimizers)),
        "critic_optimizer": list(map(_optimizer, trainer.critic_optimizers)),
        "configuration": configuration,
    }


def _shape(variable: keras.Variable) -> str:
    return f"{variable.dtype} {list(variable.shape)}"


def _optimizer(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    config = optimizer.get_config()
    # A rate that is a number is state: callbacks may change it.
    if isinstance(config.get("learning_rate"), float):
        del config["learning_rate"]
    del config["name"]
    return {
        **config,
        "class": type(optimizer).__name__,
        "variables": [_shape(variable) for variable in optimizer.variables],
    }


def _versions() -> dict[str, str]:
    return {
        "dice_tf": __version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }


def _as_json(content: Any) -> Any:
    return json.loads(json.dumps(content, default=str))


def _differences(name: str, found: Any, expected: Any) -> Any:
    """Yields what differs between two pieces of JSON, by dotted name."""
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        for key in dict.fromkeys([*found, *expected]):
            dotted = f"{name}.{key}" if name else key
            yield from _differences(dotted, found.get(key), expected.get(key))
    elif found != expected:
        yield f"`{name}` is {found!r} there and {expected!r} here"
