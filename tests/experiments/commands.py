"""Commands as a user types them, and the files that they find and leave."""

import csv
import json
import pathlib
import subprocess
import sys

import numpy as np

import dice_tf

ROOT = pathlib.Path(__file__).resolve().parents[2]
# P(cooperate) after CC, CD, DC, DD and at the start: no seat is a copy.
LEARNED = [[0.9, 0.2, 0.7, 0.1, 0.8], [0.8, 0.1, 0.9, 0.2, 0.6]]


def write_run(folder: pathlib.Path) -> pathlib.Path:
    """Writes the policies that experiments.ipd would leave."""
    game = dice_tf.games.iterated_prisoners_dilemma()
    for player_id, cooperation in enumerate(LEARNED):
        table = np.stack([cooperation, 1 - np.array(cooperation)], axis=1)
        dice_tf.export.export_policy(
            dice_tf.policies.fixed_policy(game, player_id, table),
            folder / "saved_model" / f"player_{player_id}",
        )
    return folder


def shell(module: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", f"experiments.{module}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def refusals(module: str, arguments: list[list[str]]) -> list[str]:
    """Returns what is said to each of several mistaken command lines."""
    code = (
        "import json, sys; from absl import flags\n"
        "from absl.testing import flagsaver\n"
        f"from experiments.{module} import COMMAND\n"
        "COMMAND.define_flags()\n"
        "for arguments in json.loads(sys.argv[1]):\n"
        "  with flagsaver.flagsaver():\n"
        "    try:\n"
        "      flags.FLAGS(['x', *arguments])\n"
        "      COMMAND.resolve(flags.FLAGS)\n"
        "    except Exception as error: print(repr(str(error)))\n"
        "    else: print('accepted')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.splitlines()


def resolved(module: str, *arguments: str) -> subprocess.CompletedProcess:
    """Prints what the flags come to, without playing."""
    code = (
        "import sys; from absl import flags; "
        f"from experiments.{module} import COMMAND; "
        "COMMAND.define_flags(); flags.FLAGS(['x', *sys.argv[1:]]); "
        "print(COMMAND.resolve(flags.FLAGS)); "
        "print({'tensorflow', 'matplotlib'} & set(sys.modules))"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def read_curves(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads curves.csv: by method `[num_iterations, num_runs, num_players]`."""
    rows: dict[str, dict[str, list[list[float]]]] = {}
    with open(path, encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        next(lines)
        for method, run, _, *returns in lines:
            runs = rows.setdefault(method, {})
            runs.setdefault(run, []).append([float(value) for value in returns])
    return {
        method: np.array(list(runs.values()), np.float32).swapaxes(0, 1)
        for method, runs in rows.items()
    }
