"""Trains the policies of the zoo, measures them and writes their files."""

import io
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

import dice_tf

from ..coins.networks import build_network
from ..command_line.stopping import INTERRUPTED, TERMINATED
from ..results.check_list import Check, at_least, at_most
from ..results.json_files import plain, write_json
from ..settings.training_flags import MLP, TABULAR
from .recipes import COIN_NETWORK, RECIPES, SEED, Recipe

_LICENCE = "Apache-2.0"
# The returns of so many episodes are measured, some at a time.
_NUM_EPISODES = 2**16
_BATCH_SIZE = 2**13
_SEED_OF_PLAY = 24
# An interval is for the mean of so many episodes, and so many deviations wide.
_NUM_OF_INTERVAL = 1024
_NUM_DEVIATIONS = 4.0
_DIGITS = 4


class Made(NamedTuple):
    """A policy of the zoo in all seats.

    Attributes:
      weights: content of the file with the weights.
      facts: content of the file with what was measured.
      checks: of the returns.
    """

    weights: bytes
    facts: dict[str, Any]
    checks: list[Check]


def train(name: str, folder: pathlib.Path) -> None:
    """Trains in a process of its own, or goes on with an earlier training.

    Args:
      name: of a recipe.
      folder: for the results of the training.

    Raises:
      KeyboardInterrupt: if the training was interrupted.
      ValueError: if it failed. It has said why.
    """
    recipe = RECIPES[name]
    package = __package__.rpartition(".")[0]
    command = [
        *(sys.executable, "-m", f"{package}.{recipe.experiment}"),
        *recipe.arguments,
        *(f"--output_dir={folder}", "--resume"),
    ]
    # This program has set it for itself, and the other one would take it for
    # the user's wish to see what TensorFlow logs.
    environment = dict(os.environ)
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    status = subprocess.run(command, env=environment, check=False).returncode
    if status in (INTERRUPTED, TERMINATED):
        raise KeyboardInterrupt
    if status:
        raise ValueError(
            f"The training of {name} ended with status {status}: "
            f"{shlex.join(command)}"
        )


def make(name: str, folder: pathlib.Path) -> Made:
    """Returns the files of a policy that was trained.

    Args:
      name: of a recipe.
      folder: with the results of the training.
    """
    recipe, game = RECIPES[name], dice_tf.zoo.game(name)
    policies = []
    for player_id, seat in enumerate(recipe.seats):
        saved = tf.saved_model.load(folder / recipe.folder / seat)
        policy = _build_policy(recipe, game, player_id)
        policy.set_weights([x.numpy() for x in saved.variables])
        policies.append(policy)
    returns = _play(game, policies, recipe.discount)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    versions = config["versions"]
    facts = {
        "learner": recipe.learner,
        "discount": recipe.discount,
        "command": f"python -m experiments.make_zoo --policies={name}",
        "training": shlex.join(
            ["python", "-m", f"experiments.{recipe.experiment}"]
            + recipe.arguments
        ),
        "num_iterations": config["flags"]["num_iterations"],
        "seed": SEED,
        "versions": {
            key: versions[key] for key in ("dice_tf", "keras", "tensorflow")
        },
        "num_episodes": _NUM_EPISODES,
        "licence": _LICENCE,
        "players": [
            _described(policy, earned)
            for policy, earned in zip(policies, returns.T, strict=True)
        ],
    }
    means = returns.mean(axis=0)
    text = f"{name}: return in self-play"
    return Made(
        _archive(policies),
        plain(facts),
        [
            at_least(f"{text}, least of a seat", means.min(), recipe.least),
            at_most(f"{text}, most of a seat", means.max(), recipe.most),
        ],
    )


def _build_policy(
    recipe: Recipe, game: dice_tf.games.Game, player_id: int
) -> keras.Model:
    if recipe.policy == COIN_NETWORK:
        return build_network(game, MLP, 64, game.num_actions[player_id])
    build = {TABULAR: dice_tf.policies.tabular, MLP: dice_tf.policies.mlp}
    return build[recipe.policy](game, player_id)


def _play(
    game: dice_tf.games.Game, policies: Sequence[keras.Model], discount: float
) -> np.ndarray:
    """Returns what each player earns in each episode, `[B, num_players]`."""
    return np.concatenate(
        [
            dice_tf.evaluation.play_match(
                game,
                policies,
                discount=discount,
                batch_size=_BATCH_SIZE,
                seed=(_SEED_OF_PLAY, part),
            ).returns
            for part in range(_NUM_EPISODES // _BATCH_SIZE)
        ]
    )


def _described(policy: keras.Model, returns: np.ndarray) -> dict[str, Any]:
    """Returns what the card says of one seat."""
    mean, deviation = returns.mean(), returns.std(ddof=1)
    reach = _NUM_DEVIATIONS * deviation / np.sqrt(_NUM_OF_INTERVAL)
    unit = 10.0**-_DIGITS
    # Rounded outwards: some policies always play alike.
    interval = [
        np.floor((mean - reach) / unit) * unit,
        np.ceil((mean + reach) / unit) * unit,
    ]
    return {
        "mean_return": round(mean, _DIGITS + 1),
        "return_interval": [round(end, _DIGITS) for end in interval],
        "weights": [
            f"{weight.name} {weight.dtype} {list(weight.shape)}"
            for weight in policy.weights
        ],
        "weights_sha256": _hash_of(policy),
    }


def _hash_of(policy: keras.Model) -> str:
    """Returns the hash that every export of the policy has in its card."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "policy")
        dice_tf.export.export_policy(policy, path)
        return dice_tf.export.read_card(path)["weights_sha256"]


def _archive(policies: Sequence[keras.Model]) -> bytes:
    """Returns the weights of all seats as one archive of NumPy's."""
    arrays = {
        f"player_{player_id}/{number}": weight
        for player_id, policy in enumerate(policies)
        for number, weight in enumerate(policy.get_weights())
    }
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def write(name: str, made: Made, folder: pathlib.Path) -> None:
    """Writes the two files of a policy.

    Args:
      name: of the policy.
      made: what was made of it.
      folder: that of all policies.
    """
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".npz").write_bytes(made.weights)
    write_json(path.with_suffix(".json"), made.facts)
