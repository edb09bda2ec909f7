"""How a run came about: settings, versions, device, commit."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

import dice_tf

_PACKAGES = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "keras": ("keras",),
    "tensorflow_probability": ("tensorflow-probability",),
    "numpy": ("numpy",),
}


def config(
    settings: Mapping[str, NamedTuple], output_dir: str | os.PathLike
) -> dict[str, Any]:
    """Returns what `config.json` holds.

    Args:
      settings: by method name a named tuple of all flags, resolved.
      output_dir: the folder of the results.
    """
    flags = {
        method: {**own._asdict(), "output_dir": str(output_dir)}
        for method, own in settings.items()
    }
    return {
        # By method only where there are several.
        "method": list(flags) if len(flags) > 1 else next(iter(flags)),
        "flags": flags if len(flags) > 1 else next(iter(flags.values())),
        "command": [pathlib.Path(sys.argv[0]).name, *sys.argv[1:]],
        "versions": _versions(),
        "device": _device(),
        "git_commit": _git_commit(),
    }


def _versions() -> dict[str, str | None]:
    versions = {
        "python": platform.python_version(),
        "dice_tf": dice_tf.__version__,
    }
    for name, distributions in _PACKAGES.items():
        found = [_installed_version(name) for name in distributions]
        versions[name] = next(filter(None, found), None)
    return versions


def _installed_version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device() -> str:
    """Describes what TensorFlow computes on."""
    gpus = tf.config.get_visible_devices("GPU")
    if not gpus:
        return f"CPU, {os.cpu_count()} cores, {platform.machine()}"
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return ", ".join(own.get("device_name", "GPU") for own in details)


def _git_commit() -> str | None:
    """Returns the commit of the code, `+` marking changes since."""
    folder = pathlib.Path(__file__).resolve().parent
    try:
        lines = [
            subprocess.run(
                ["git", *arguments],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            ).stdout.strip()
            for arguments in (
                ["rev-parse", "HEAD"],
                ["status", "--porcelain", "--untracked-files=no"],
            )
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    commit, changes = lines
    return f"{commit}+" if changes else commit
