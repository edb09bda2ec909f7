"""Policies of the zoo by name, read from files of the package.

Each has two files in `data/`: its weights, an archive of NumPy's without
Python objects, in which `player_0/1` is the second weight of player 0; and a
JSON file with all that was measured. `python -m experiments.make_zoo` makes
both. What they are weights of is code of this package, so that neither Keras'
files nor SavedModels have to be read.
"""

import difflib
import functools
import importlib.resources
import io
import json
from typing import Any

import keras
import numpy as np

from dice_tf.checks import check_kind, check_player_id
from dice_tf.export.cards import Card, hash_of_weights
from dice_tf.games.game import Game
from dice_tf.zoo.entries import ENTRIES, Entry

_DATA = "data"


def names() -> list[str]:
    """Returns the names of all policies, such as `"ipd/lola_dice"`.

    The part before the slash is the game, the part after it what was trained.

    Example:
      >>> [name for name in dice_tf.zoo.names() if name.startswith("ipd/")]
      ['ipd/lola_dice', 'ipd/lola_dice_mlp', 'ipd/naive']
    """
    return sorted(ENTRIES)


def game(name: str) -> Game:
    """Returns the game that policies of a name play.

    It is made once: matches of these policies then share a compiled program.

    Args:
      name: one of `names()`.

    Raises:
      TypeError: if the name is not a string.
      ValueError: if there is no such name.

    Example:
      >>> dice_tf.zoo.game("public_goods/lola_dice").num_players
      3
    """
    return _made_once(_entry(name))


def load(name: str, player_id: int = 0) -> keras.Model:
    """Returns a trained policy.

    It is a model like those of `dice_tf.policies`, of which each call makes a
    new one: it plays, is a start for more training, and can be exported.
    Nothing is downloaded, and nothing in the files is run.

    `"coin_game/lola_dice"` are tables of `dice_tf.games.TabularCoinGame`, which
    play on the grid by `dice_tf.policies.on_the_grid`. The policy of
    `"coin_game/advantage_alignment"` is the same network in both seats.

    Args:
      name: one of `names()`.
      player_id: the seat that it was trained in, from 0.

    Returns:
      A `keras.Model` from the observations of `game(name)`, `[B, ...]`, to
      `[B, num_outputs]`: the log-odds of action 0 if there are two actions,
      else one logit per action.

    Raises:
      TypeError: if the name is not a string, or the seat not a whole number.
      ValueError: if there is no such name or seat, or the file of the weights
        is damaged.

    Example:
      >>> game = dice_tf.zoo.game("ipd/lola_dice")
      >>> policies = [dice_tf.zoo.load("ipd/lola_dice", i) for i in range(2)]
      >>> match = dice_tf.evaluation.exact_match(game, policies)
      >>> bool(match.mean.min() > -1.05)
      True
      >>> objective = dice_tf.objectives.ExactObjective(game, policies)
      >>> trainer = dice_tf.Trainer(objective, learners=[learner, learner])
    """
    entry = _entry(name)
    made = _made_once(entry)
    player_id = check_player_id(player_id, made.num_players)
    policy = entry.policy(made, player_id)
    weights = _weights(name, player_id)
    expected = _facts(name)["players"][player_id]["weights_sha256"]
    if hash_of_weights(weights) != expected:
        raise ValueError(
            f"The weights of {name!r} for player {player_id} are damaged: "
            "their hash is not the one in their card. Install dice_tf again."
        )
    policy.set_weights(weights)
    return policy


def card(name: str, player_id: int = 0) -> Card:
    """Returns what is known of a policy, as exports take it.

    Its return is that of self-play: all seats hold policies of this name. The
    mean return of 1,024 episodes, played at the card's discount, lies in
    `return_interval` unless chance is very odd (four standard deviations).
    `notes` holds commands, seeds and versions by which it was made, and the
    order and the hash of its weights.

    Args:
      name: one of `names()`.
      player_id: the seat, from 0.

    Returns:
      A `dice_tf.export.Card`.

    Raises:
      TypeError, ValueError: as of `load`.

    Example:
      >>> card = dice_tf.zoo.card("stag_hunt/lola_dice", player_id=1)
      >>> card.actions, card.licence
      (('stag', 'hare'), 'Apache-2.0')
      >>> policy = dice_tf.zoo.load("stag_hunt/lola_dice", player_id=1)
      >>> dice_tf.export.export_policy(policy, "hunter", card=card)
    """
    entry = _entry(name)
    made = _made_once(entry)
    player_id = check_player_id(player_id, made.num_players)
    facts = _facts(name)
    measured = facts["players"][player_id]
    return Card(
        made,
        player_id,
        observations=entry.observations and entry.observations(made),
        actions=entry.actions,
        learner=facts["learner"],
        mean_return=measured["mean_return"],
        return_interval=tuple(measured["return_interval"]),
        discount=facts["discount"],
        licence=facts["licence"],
        notes=_notes(name, facts, measured),
    )


@functools.cache
def _made_once(entry: Entry) -> Game:
    return entry.game()


def _entry(name: str) -> Entry:
    check_kind("name", name, str, "a string")
    if name not in ENTRIES:
        near = difflib.get_close_matches(name, ENTRIES, n=1, cutoff=0.0)
        raise ValueError(
            f"`name` must be one of {', '.join(map(repr, names()))}. "
            f"Received: name={name!r}. Did you mean {near[0]!r}?"
        )
    return ENTRIES[name]


def _notes(name: str, facts: dict[str, Any], measured: dict[str, Any]) -> str:
    versions = [f"{key} {value}" for key, value in facts["versions"].items()]
    return "\n".join(
        [
            f"{name} of dice_tf.zoo, made by `{facts['command']}`, which runs "
            f"`{facts['training']}` ({facts['num_iterations']} updates).",
            f"Run 1, seed {facts['seed']}. Versions: {', '.join(versions)}.",
            "Return: mean of self-play, all seats being of this name, over "
            f"{facts['num_episodes']} episodes. Interval: four standard "
            "deviations of the mean of 1024 episodes.",
            f"Weights, in order: {', '.join(measured['weights'])}. SHA-256: "
            f"{measured['weights_sha256']}.",
        ]
    )


def _facts(name: str) -> dict[str, Any]:
    return json.loads(_content(f"{name}.json"))


def _weights(name: str, player_id: int) -> list[np.ndarray]:
    content = io.BytesIO(_content(f"{name}.npz"))
    with np.load(content, allow_pickle=False) as archive:
        prefix = f"player_{player_id}/"
        count = sum(key.startswith(prefix) for key in archive)
        return [archive[f"{prefix}{number}"] for number in range(count)]


def _content(path: str) -> bytes:
    files = importlib.resources.files(__package__)
    return files.joinpath(_DATA, *path.split("/")).read_bytes()
