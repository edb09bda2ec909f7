"""Cards: what a policy is, written into each of its files."""

import hashlib
import inspect
import io
import itertools
import json
import math
import os
import zipfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from dice_tf.checks import (
    check_installed,
    check_kind,
    check_number,
    check_player_id,
    check_whole_number,
)
from dice_tf.games.finite import FiniteGame
from dice_tf.games.game import Game
from dice_tf.policies.action_masks import carried_mask
from dice_tf.policies.signatures import PROBABILITIES, Signature
from dice_tf.version import __version__

# The name of the asset, of the entry in a TFLite file, and of ONNX metadata.
CARD_NAME = "card.json"

_CARD_VERSION = 1
# A card is text for people: a larger one is not ours.
_MOST_BYTES = 2**24
# Of what a strange card says, in an error.
_MOST_CHARACTERS = 200
# Larger tables of payoffs are left out.
_MOST_PAYOFFS = 4096


class Card(NamedTuple):
    """What the file of a policy is to say of it, beyond what an export sees.

    Every export writes a card. `Card()` is one of which all this is unknown.

    Attributes:
      game: what it plays, a `Game`; of a game without one its name.
      player_id: its seat. A `Game` needs one.
      observations: what each entry of an observation means, in order.
        Default: what is known of matrix games and of finite games whose
        observations are one-hot.
      actions: what each action means, in order.
      learner: what trained it, and against whom.
      mean_return: its return, in the normalisation of reports:
        `(1 - discount)` times the discounted sum.
      return_interval: two numbers, an interval for `mean_return`.
      licence: under which it may be used.
      notes: anything else.
      discount: that of the return, in [0, 1]; at 1 it is the mean reward per
        step.

    Example:
      >>> card = dice_tf.export.Card(
      ...     game,
      ...     player_id=0,
      ...     actions=["cooperate", "defect"],
      ...     learner="LOLADiCE(num_lookaheads=1), self-play",
      ...     mean_return=-1.06,
      ...     return_interval=(-1.08, -1.04),
      ...     discount=0.96,
      ...     licence="Apache-2.0",
      ... )
      >>> dice_tf.export.export_policy(policy, "lola_dice", card=card)
      >>> dice_tf.export.read_card("lola_dice")["actions"]["entries"]
      ['cooperate', 'defect']
    """

    game: Game | str | None = None
    player_id: int | None = None
    observations: Sequence[str] | None = None
    actions: Sequence[str] | None = None
    learner: str | None = None
    mean_return: float | None = None
    return_interval: tuple[float, float] | None = None
    licence: str | None = None
    notes: str | None = None
    discount: float | None = None


def read_card(path: str | os.PathLike) -> dict[str, Any]:
    """Reads the card of an exported policy.

    Neither the policy nor anything else in the file is run: a card can be read
    before its file is trusted. It is what its author says.

    Args:
      path: the folder of a SavedModel, or a file `*.tflite` or `*.onnx`. An
        ONNX file needs the extra `dice_tf[onnx]`.

    Returns:
      A dictionary, the same for each format:

      - `card_version`: 1.
      - `policy`: the name of the model.
      - `game`: `None`, or `name`, `description`, `num_players`,
        `episode_length` and, of a matrix game, `payoffs`; what is not known is
        `None`.
      - `player_id`: the seat.
      - `observations`: `shape` of one, `dtype`, and `entries`, what each entry
        means in row-major order.
      - `actions`: `num_actions`, `None` if they are not a finite set, and
        `entries`, what each means.
      - `legal_actions`: `None` where all are legal; for observations of one
        axis a list for each entry, the actions that are legal where this entry
        is 1 and the others are 0; else that they are computed from the
        observation.
      - `learner`, `licence`, `notes`: as of `Card`.
      - `return`: `mean` and `interval`, and the `discount` of both.
      - `versions`: of `dice_tf`, `keras` and `tensorflow`.
      - `weights_sha256`: a hash of the model's weights, by dtype, shape and
        value, in the order of `policy.weights`; `None` of a model without
        any, such as one of `dice_tf.policies.from_saved_model`.

    Raises:
      ImportError: if the file is ONNX, and onnx is not installed.
      TypeError: if `path` is not a path.
      ValueError: if there is no such file, or it holds no card, or the card is
        damaged.

    Example:
      >>> dice_tf.export.export_tflite(policy, "policy.tflite")
      >>> dice_tf.export.read_card("policy.tflite")["observations"]["shape"]
      [5]
    """
    check_kind("path", path, (str, os.PathLike), "a string or path")
    path = os.fspath(path)
    text = _card_in(path)
    if text is None:
        raise ValueError(
            f"The file at `path` ({path!r}) holds no card. Exports of dice_tf "
            "since 0.1.0 do."
        )
    try:
        card = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"The card of the file at `path` ({path!r}) is damaged: {error}"
        ) from error
    if not isinstance(card, dict) or card.get("card_version") != _CARD_VERSION:
        raise ValueError(
            f"The card of the file at `path` ({path!r}) must be of version "
            f"{_CARD_VERSION}, which this dice_tf ({__version__}) reads. It "
            f"may be damaged, or of a later version: {_writer_of(card)}."
        )
    return card


def _writer_of(card: Any) -> str:
    versions = card.get("versions") if isinstance(card, dict) else None
    if not isinstance(versions, dict):
        return "it does not say which version wrote it"
    return f"it was written by {repr(versions)[:_MOST_CHARACTERS]}"


def card_text(
    card: Card | None, policy: keras.Model, signatures: dict[str, Signature]
) -> str:
    """Returns the text of a card, completed by what an export sees.

    Args:
      card: what else is known.
      policy: what is exported.
      signatures: of the policy, by name.

    Raises:
      TypeError: if the card or an attribute of it has the wrong type.
      ValueError: if an attribute has the wrong value, or does not fit the
        policy.
    """
    card = Card() if card is None else card
    check_kind("card", card, Card, "a dice_tf.export.Card or None")
    first = next(iter(signatures.values()))
    shape = first.inputs[0].shape[1:].as_list()
    num_actions = _num_actions(signatures)
    game, player_id = _seat_of(card, shape, num_actions)
    observations, actions = card.observations, card.actions
    if observations is None and game is not None and player_id is not None:
        observations = _entries_of(game, player_id)
    size = None if None in shape else math.prod(shape)
    content = {
        "card_version": _CARD_VERSION,
        "policy": policy.name,
        "game": _described_game(card.game),
        "player_id": player_id,
        "observations": {
            "shape": shape,
            "dtype": first.inputs[0].dtype.name,
            "entries": _texts("card.observations", observations, size),
        },
        "actions": {
            "num_actions": num_actions,
            "entries": _texts("card.actions", actions, num_actions),
        },
        "legal_actions": _legal_actions(policy, first.inputs[0]),
        "learner": _text("card.learner", card.learner),
        "return": _return(card),
        "licence": _text("card.licence", card.licence),
        "notes": _text("card.notes", card.notes),
        "versions": {
            "dice_tf": __version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        },
        # What was exported before holds its weights as constants.
        "weights_sha256": hash_of_weights(policy.get_weights()),
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def with_card(content: bytes, text: str) -> bytes:
    """Returns a TFLite file that holds a card.

    Files that go with a TFLite model are an archive behind it, which `unzip`
    opens and interpreters do not read.

    Args:
      content: of the file.
      text: of the card.
    """
    file = io.BytesIO(content)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        # A fixed date: the same policy gives the same file.
        entry = zipfile.ZipInfo(CARD_NAME)
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, text.encode())
    return file.getvalue()


def _seat_of(
    card: Card, shape: list[int | None], num_actions: int | None
) -> tuple[Game | None, int | None]:
    """Returns the game of a card if it is one of ours, and the seat."""
    game, player_id = card.game, card.player_id
    kinds = "a dice_tf.games.Game, a name or None"
    check_kind("card.game", game, Game | str | None, kinds)
    if not isinstance(game, Game):
        if player_id is not None:
            player_id = check_whole_number("card.player_id", player_id, 0)
        return None, player_id
    player_id = check_player_id(player_id, game.num_players)
    seat = [*game.observation_shapes[player_id]], game.num_actions[player_id]
    # Axes of any size are None.
    fits = len(shape) == len(seat[0]) and all(
        size in (None, expected)
        for size, expected in zip(shape, seat[0], strict=False)
    )
    if not fits or num_actions != seat[1]:
        raise ValueError(
            f"`card` must name a seat that the policy fits. Player {player_id} "
            f"of {type(game).__name__} observes shape {seat[0]} and has "
            f"{seat[1]} actions; the policy observes {shape} and has "
            f"{num_actions}."
        )
    return game, player_id


def _num_actions(signatures: dict[str, Signature]) -> int | None:
    for name, signature in signatures.items():
        if name.endswith(PROBABILITIES):
            inputs = [
                tf.zeros([size or 1 for size in spec.shape], spec.dtype)
                for spec in signature.inputs
            ]
            return signature.function(*inputs)[PROBABILITIES].shape[1]
    return None


def _described_game(game: Game | str | None) -> dict[str, Any] | None:
    if game is None:
        return None
    known = dict.fromkeys(
        ["name", "description", "num_players", "episode_length", "payoffs"]
    )
    if isinstance(game, str):
        return {**known, "name": game}
    described = inspect.getdoc(type(game)) or ""
    known["name"] = type(game).__name__
    known["description"] = described.split("\nArgs:\n")[0].strip() or None
    known["num_players"] = game.num_players
    known["episode_length"] = game.episode_length
    if isinstance(game, FiniteGame) and _has_memory_one(game):
        payoffs = game.rewards[:, 0]
        if payoffs.size <= _MOST_PAYOFFS:
            known["payoffs"] = payoffs.tolist()
    return known


def _has_memory_one(game: FiniteGame) -> bool:
    """Returns whether each state is the last joint action, or the start."""
    num_joint = math.prod(game.num_actions)
    if game.num_states != num_joint + 1:
        return False
    following = np.eye(num_joint + 1)[:num_joint]
    following = following.reshape(*game.num_actions, num_joint + 1)
    is_matrix_game = np.ptp(game.rewards, axis=1).max(initial=0.0) == 0.0
    return bool(is_matrix_game and np.all(game.transitions == following))


def _entries_of(game: Game, player_id: int) -> list[str] | None:
    """Returns what the entries of one-hot observations mean, if it is known."""
    if not isinstance(game, FiniteGame):
        return None
    table = np.asarray(game.observations[player_id])
    if not np.array_equal(table @ table.T, np.eye(game.num_states)):
        return None
    if not np.array_equal(table.sum(axis=0), np.ones(table.shape[1])):
        return None
    states = [f"state {state}" for state in range(game.num_states)]
    if _has_memory_one(game):
        joint_actions = itertools.product(*map(range, game.num_actions))
        states = [_named_actions(joint, player_id) for joint in joint_actions]
        states.append("start")
    return [states[state] for state in table.argmax(axis=0)]


def _named_actions(joint: tuple[int, ...], player_id: int) -> str:
    named = [f"own action {joint[player_id]}"]
    for k in range(1, len(joint)):
        seat = (player_id + k) % len(joint)
        named.append(f"action {joint[seat]} of player {seat}")
    return ", ".join(named)


def _legal_actions(
    policy: keras.Model, observation: tf.TensorSpec
) -> list[list[int]] | str | None:
    mask = carried_mask(policy)
    if mask is None:
        return None
    if observation.shape.rank != 2:
        return "computed from the observation"
    one_hot = tf.eye(observation.shape[1], dtype=observation.dtype)
    return [np.flatnonzero(row).tolist() for row in mask(one_hot).numpy()]


def _return(card: Card) -> dict[str, Any]:
    mean, interval = card.mean_return, card.return_interval
    if mean is not None:
        mean = check_number("card.mean_return", mean, -math.inf)
    if interval is not None:
        name = "card.return_interval"
        check_kind(name, interval, (list, tuple), "two numbers or None")
        interval = [check_number(name, end, -math.inf) for end in interval]
        if len(interval) != 2 or interval[0] > interval[1]:
            raise ValueError(
                f"`{name}` must be two numbers, the lower one first. "
                f"Received: {name}={interval}."
            )
    discount = card.discount
    if discount is not None:
        discount = check_number("card.discount", discount, 0.0, 1.0)
    return {"mean": mean, "interval": interval, "discount": discount}


def _text(name: str, value: str | None) -> str | None:
    return check_kind(name, value, str | None, "a string or None")


def _texts(
    name: str, values: Sequence[str] | None, count: int | None
) -> list[str] | None:
    """Returns what some entries mean, or raises if there are not as many."""
    if values is None:
        return None
    expected = "a list of strings or None"
    check_kind(name, values, (list, tuple), expected)
    values = [check_kind(name, value, str, expected) for value in values]
    if count is not None and len(values) != count:
        raise ValueError(
            f"`{name}` must hold {count} entries. Received {len(values)}."
        )
    return values


def hash_of_weights(weights: Sequence[np.ndarray]) -> str | None:
    """Returns a hash by dtype, shape and value; `None` without any weights.

    Args:
      weights: arrays, in the order of `policy.weights`.
    """
    if not weights:
        return None
    hashed = hashlib.sha256()
    for weight in weights:
        weight = np.asarray(weight)
        hashed.update(f"{weight.dtype.name}{weight.shape}".encode())
        hashed.update(np.ascontiguousarray(weight).tobytes())
    return hashed.hexdigest()


def _card_in(path: str) -> bytes | str | None:
    """Returns the text of the card in a file or folder, if there is one."""
    if tf.io.gfile.isdir(path):
        inside = os.path.join(path, "assets", CARD_NAME)
        return _read(inside) if tf.io.gfile.exists(inside) else None
    if not tf.io.gfile.exists(path):
        raise ValueError(
            "`path` must be the folder of a SavedModel, or a file *.tflite or "
            f"*.onnx. Received: path={path!r}, where there is nothing."
        )
    if path.endswith(".tflite"):
        return _zipped_card(path)
    if path.endswith(".onnx"):
        return _onnx_card(path)
    raise ValueError(
        "`path` must be the folder of a SavedModel, or a file *.tflite or "
        f"*.onnx. Received: path={path!r}."
    )


def _read(path: str) -> bytes:
    with tf.io.gfile.GFile(path, "rb") as file:
        return file.read(_MOST_BYTES)


def _zipped_card(path: str) -> bytes | None:
    with tf.io.gfile.GFile(path, "rb") as file:
        content = io.BytesIO(file.read())
    try:
        with zipfile.ZipFile(content) as archive:
            # A hostile entry may be huge once it is unpacked.
            with archive.open(CARD_NAME) as entry:
                return entry.read(_MOST_BYTES)
    except (KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile):
        return None


def _onnx_card(path: str) -> str | None:
    check_installed("onnx", "Cards of ONNX files need onnx", "onnx")
    import onnx

    with tf.io.gfile.GFile(path, "rb") as file:
        content = file.read()
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:
        raise ValueError(
            f"The file at `path` ({path!r}) is not an ONNX file: {error}"
        ) from error
    found = {entry.key: entry.value for entry in model.metadata_props}
    return found.get(CARD_NAME)
