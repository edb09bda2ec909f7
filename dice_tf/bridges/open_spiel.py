"""Simultaneous-move games of OpenSpiel as games."""

import functools
import math
import pickle
from typing import Any

import numpy as np

from dice_tf.bridges.python_game import PythonGame
from dice_tf.bridges.vector_environment import (
    Episodes,
    EpisodeStep,
    VectorEnvironment,
)
from dice_tf.checks import check_installed, check_whole_number
from dice_tf.games.game import Game
from dice_tf.games.matrix import iterated_matrix_game, table_bytes

_REPEATED = "repeated_game"
# The tables of an iterated matrix game grow with the square of this number.
_MAX_JOINT_ACTIONS = 512


def from_open_spiel(
    game: Any,
    episode_length: int | None = None,
    *,
    num_workers: int = 0,
    dtype: str = "float32",
) -> Game:
    """Makes a game of a simultaneous-move game of OpenSpiel.

    Matrix games, such as `"matrix_pd"`, become `iterated_matrix_game`s: exact,
    and compiled. So do OpenSpiel's repeated games of them, also those of
    `pyspiel.create_repeated_game`. All others, such as `"goofspiel"`, are
    played by OpenSpiel, see `PythonGame`: chance moves by itself, and players
    see the tensor of their observation, or else of their information state.
    An action that is not legal counts as the legal one whose place is its
    number modulo the number of legal ones.

    Args:
      game: a `pyspiel.Game`, or a string that names one, with parameters if
        it has any, such as `"goofspiel(num_cards=4,imp_info=True)"`.
      episode_length: T, the rounds of an iterated matrix game (150 by
        default) or the steps after which a game is over anyway (by default
        its own limit).
      num_workers: processes among which the episodes of a play are shared;
        unused where the game is exact.
      dtype: floating dtype, "float32" or "float64".

    Returns:
      A `FiniteGame`, or a `PythonGame`.

    Raises:
      ImportError: if OpenSpiel is not installed.
      TypeError: if `game` is not a game, or `episode_length` not a number.
      ValueError: if OpenSpiel cannot load the game; if players do not all
        move at the same time, or see no tensor; if a matrix game has more than
        512 joint actions, or a repeated one shows more than its last round;
        if other processes cannot load the game.

    Example:
      >>> game = dice_tf.bridges.from_open_spiel("matrix_pd", 100)
      >>> game.num_states
      5
    """
    check_installed("pyspiel", "This needs OpenSpiel", "openspiel")
    import pyspiel

    if isinstance(game, str):
        game = _load(game)
    try:
        kind = game.get_type()
    except AttributeError as error:
        raise TypeError(
            "`game` must be a pyspiel.Game or a string that names one. "
            f"Received: {game!r}."
        ) from error
    _check_simultaneous(kind)
    is_repeated = kind.short_name == _REPEATED
    if is_repeated:
        _check_recall(game)
    if episode_length is None:
        is_single = kind.information == pyspiel.GameType.Information.ONE_SHOT
        episode_length = 150 if is_single else game.max_game_length()
    check_whole_number("episode_length", episode_length, 1)
    if is_repeated or kind.information == pyspiel.GameType.Information.ONE_SHOT:
        return iterated_matrix_game(_payoffs(game), episode_length, dtype=dtype)
    if not _tensors(kind):
        raise ValueError(
            "Players must see a tensor, of an observation or an information "
            f"state. Those of {kind.short_name!r} do not."
        )
    if num_workers:
        _check_name(game)
    return PythonGame(
        functools.partial(_episodes, game),
        episode_length,
        num_workers=num_workers,
        dtype=dtype,
    )


def _load(text: str) -> Any:
    import pyspiel

    try:
        return pyspiel.load_game(text)
    except Exception as error:
        # The lines after the first list all games of OpenSpiel.
        reason = str(error).split("\n")[0]
        raise ValueError(
            "`game` must name a game of OpenSpiel, with the parameters that "
            f"it needs. Received: {text!r}. OpenSpiel says: {reason}"
        ) from error


def _check_simultaneous(kind: Any) -> None:
    import pyspiel

    if kind.dynamics == pyspiel.GameType.Dynamics.SEQUENTIAL:
        raise ValueError(
            "Players must move at the same time. Those of "
            f"{kind.short_name!r} move one after the other."
        )
    if kind.dynamics != pyspiel.GameType.Dynamics.SIMULTANEOUS:
        raise ValueError(
            "Players must move at the same time. The dynamics of "
            f"{kind.short_name!r} are {kind.dynamics.name}."
        )


def _check_recall(game: Any) -> None:
    """Raises if a repeated game shows more than `iterated_matrix_game`."""
    recall = game.get_parameters().get("recall", 1)
    if recall != 1:
        raise ValueError(
            "A repeated game must have recall=1: an iterated matrix game "
            "shows the last round only. Received: recall="
            f"{recall}. A policy with memory, such as dice_tf.policies.gru, "
            "knows all rounds."
        )


def _check_name(game: Any) -> None:
    """Raises if other processes cannot load a game, which they get as text."""
    try:
        pickle.loads(pickle.dumps(game))
    except Exception as error:
        raise ValueError(
            "Worker processes load a game by its name and parameters, which "
            f"do not make {str(game)!r} anew. Play it in this process, with "
            "num_workers=0."
        ) from error


def _payoffs(game: Any) -> np.ndarray:
    """Returns `[num_players, A_1, ..., A_N]` of the first round of a game.

    A game object does not tell which stage it repeats, but what the first
    round pays.
    """
    start = game.new_initial_state()
    players = range(game.num_players())
    legal = [start.legal_actions(player_id) for player_id in players]
    num_actions = list(map(len, legal))
    num_joint_actions = math.prod(num_actions)
    if num_joint_actions > _MAX_JOINT_ACTIONS:
        raise ValueError(
            f"A matrix game may have at most {_MAX_JOINT_ACTIONS} joint "
            "actions, since an iterated one has a state for each. Received "
            f"{num_joint_actions} of {game.get_type().short_name!r}, whose "
            f"tables would take {table_bytes(num_actions) / 2**30:,.1f} GiB: "
            "give it parameters that make it smaller."
        )
    payoffs = np.zeros([len(players), *num_actions])
    for index in np.ndindex(payoffs.shape[1:]):
        state = start.clone()
        state.apply_actions(
            [actions[i] for actions, i in zip(legal, index, strict=True)]
        )
        payoffs[(slice(None), *index)] = state.returns()
    return payoffs


def _tensors(kind: Any) -> str:
    """Returns the method of a state for what players see, empty if none."""
    if kind.provides_observation_tensor:
        return "observation_tensor"
    if kind.provides_information_state_tensor:
        return "information_state_tensor"
    return ""


def _episodes(game: Any) -> VectorEnvironment:
    return Episodes(functools.partial(_Episode, game))


class _Episode:
    """One episode of a game of OpenSpiel."""

    def __init__(self, game: Any):
        self._game = game
        self._tensor = _tensors(game.get_type())
        self._players = range(game.num_players())
        shape = tuple(getattr(game, f"{self._tensor}_shape")())
        self.num_actions = (game.num_distinct_actions(),) * len(self._players)
        self.observation_shapes = (shape,) * len(self._players)
        self.action_shapes = ((),) * len(self._players)
        self.action_bounds = (None,) * len(self._players)
        self._state: Any = None
        self._random = np.random.default_rng(0)

    def reset(self, seed: int) -> tuple[np.ndarray, ...]:
        self._random = np.random.default_rng(seed)
        self._state = self._game.new_initial_state()
        self._play_chance()
        return self._observations()

    def step(self, actions: tuple) -> EpisodeStep:
        before = np.array(self._state.returns())
        joint = []
        for player_id, action in zip(self._players, actions, strict=True):
            # OpenSpiel gives no legal action to a player that has no choice.
            legal = self._state.legal_actions(player_id) or [0]
            is_legal = action in legal
            joint.append(
                int(action) if is_legal else legal[action % len(legal)]
            )
        self._state.apply_actions(joint)
        self._play_chance()
        rewards = np.array(self._state.returns()) - before
        return EpisodeStep(
            self._observations(),
            tuple(rewards.tolist()),
            not self._state.is_terminal(),
        )

    def close(self) -> None:
        """Holds nothing."""

    def _play_chance(self) -> None:
        while self._state.is_chance_node():
            outcomes, chances = zip(*self._state.chance_outcomes(), strict=True)
            self._state.apply_action(
                int(self._random.choice(outcomes, p=chances))
            )

    def _observations(self) -> tuple[np.ndarray, ...]:
        shape = self.observation_shapes[0]
        # Some games have no observation of their end, on which no player acts.
        if self._state.is_terminal():
            return (np.zeros(shape),) * len(self._players)
        read = getattr(self._state, self._tensor)
        return tuple(
            np.reshape(read(player_id), shape) for player_id in self._players
        )
