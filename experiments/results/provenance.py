"""How a run came about: settings, versions, device, commit; and what it left.

`flags.txt` holds the flags that the run was given, one on each line, so that
`--flagfile` repeats it. `dice-tf rerun` needs `config.json` alone.
"""

import contextlib
import hashlib
import importlib.metadata
import itertools
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

import dice_tf

from ..command_line.commands import user_errors
from .outputs import (
    ARGUMENTS,
    CONFIG,
    DIGEST,
    EXPERIMENT,
    FILES,
    FLAGS,
    HASHES,
    SAVED_MODELS,
    SUMMARY,
    VERSIONS,
    OutputFolder,
    optional,
    write_json,
)

_PACKAGES = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "keras": ("keras",),
    "tensorflow_probability": ("tensorflow-probability",),
    "numpy": ("numpy",),
    "matplotlib": ("matplotlib",),
}
# What is set outside of the program and may change the last digits.
_ENVIRONMENT = ("XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS")


@contextlib.contextmanager
def collect_results(
    folder: OutputFolder,
    settings: Mapping[str, NamedTuple],
    summary: Mapping[str, Any],
) -> Iterator[pathlib.Path]:
    """Yields a folder for the files of a run, and publishes them all at once.

    `config.json`, `summary.json` and `flags.txt` are written here. The first
    lists all files: nothing but these is removed when a later run replaces
    this one. If there is no room for them, pictures and policies are left out.
    """
    with user_errors(), _hint_after_errors(folder), folder.collect() as stage:
        yield stage
        config = _config(settings, str(folder.path))
        if folder.record is not None:
            config[EXPERIMENT] = folder.record.experiment
            config[ARGUMENTS] = folder.record.arguments
            config[DIGEST] = folder.record.digest
        try:
            _write_records(stage, config, summary)
        except OSError as error:
            _leave_out_extras(stage, error)
            _write_records(stage, config, summary)


def _write_records(
    stage: pathlib.Path, config: dict[str, Any], summary: Mapping[str, Any]
) -> None:
    (stage / CONFIG).unlink(missing_ok=True)
    write_json(stage / SUMMARY, summary)
    if EXPERIMENT in config:
        _write_flags(stage / FLAGS, config[EXPERIMENT], config[ARGUMENTS])
    files = sorted({*os.listdir(stage), CONFIG})
    hashes = _hashes(stage)
    write_json(stage / CONFIG, {**config, FILES: files, HASHES: hashes})


def _write_flags(
    path: pathlib.Path, experiment: str, arguments: Sequence[str]
) -> None:
    """Writes the flags of a run as absl's --flagfile reads them.

    A flag of several lines, such as payoffs may be, cannot stand in a file of
    flags: there is none then.
    """
    if any(text.splitlines() != [text.strip()] for text in arguments):
        return
    lines = [
        "# To repeat this run, with the same version of dice_tf:",
        f"# python -m {experiment} --flagfile={FLAGS} --output_dir=FOLDER",
        *arguments,
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _hashes(stage: pathlib.Path) -> dict[str, str]:
    """Returns the digest of each file by its path in the folder."""
    hashes = {}
    for path in sorted(stage.rglob("*")):
        if path.is_file():
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256")
            hashes[path.relative_to(stage).as_posix()] = digest.hexdigest()
    return hashes


def _leave_out_extras(stage: pathlib.Path, error: OSError) -> None:
    """Makes room by removing pictures and policies, with a warning."""
    extras = [stage.glob(name) for name in ("*.png", "*.gif", SAVED_MODELS)]
    for path in sorted(itertools.chain(*extras)):
        with optional(path):
            raise error


@contextlib.contextmanager
def _hint_after_errors(folder: OutputFolder) -> Iterator[None]:
    """Says of errors of the system what is left of the run."""
    try:
        yield
    except OSError as error:
        left = "No checkpoint of the run is left."
        if folder.has_checkpoints and folder.record is not None:
            left = (
                "The checkpoint of the run is left. To go on from there:\n  "
                f"{folder.record.command}"
            )
        raise ValueError(
            f"The results could not be written: {error}. {left}"
        ) from error


def _config(
    settings: Mapping[str, NamedTuple], output_dir: str
) -> dict[str, Any]:
    flags = {
        method: {**values._asdict(), "output_dir": output_dir}
        for method, values in settings.items()
    }
    methods = list(flags)
    is_single = len(methods) == 1
    return {
        "method": methods[0] if is_single else methods,
        # Several methods have their flags by name.
        "flags": flags[methods[0]] if is_single else flags,
        "command": [pathlib.Path(sys.argv[0]).name, *sys.argv[1:]],
        VERSIONS: _versions(),
        "environment": {name: os.environ.get(name) for name in _ENVIRONMENT},
        "device": _device(),
        "git_commit": _git_commit(),
    }


def _versions() -> dict[str, str | None]:
    versions = {
        "python": platform.python_version(),
        "dice_tf": dice_tf.__version__,
    }
    for name, distributions in _PACKAGES.items():
        versions[name] = None
        for distribution in distributions:
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                versions[name] = importlib.metadata.version(distribution)
                break
    return versions


def _device() -> str:
    """Describes what TensorFlow computes on."""
    gpus = tf.config.get_visible_devices("GPU")
    if not gpus:
        return f"CPU, {os.cpu_count()} cores, {platform.machine()}"
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return ", ".join(gpu.get("device_name", "GPU") for gpu in details)


def _git_commit() -> str | None:
    """Returns the commit of the code, `+` marking changes since."""
    try:
        commit = _git("rev-parse", "HEAD")
        changes = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+" if changes else commit


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=pathlib.Path(__file__).resolve().parent,
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return done.stdout.strip()
