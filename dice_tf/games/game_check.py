"""Whether a game keeps to what `Game` says: played, and looked at.

What a game gets wrong shows late, in a loop over time inside a compiled
step, and without the name of what is wrong.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dice_tf.checks import check_float_dtype, check_whole_number, described
from dice_tf.games.game import Game, TimeStep
from dice_tf.seeds import split_seed

_NUM_STEPS = 2
# No size that a game would have by chance.
_BATCH_SIZE = 5
_OTHER_BATCH_SIZE = 3
_NUM_SEEDS = 4

# For each player a function from observations to actions.
Samplers = Sequence[Callable[[Any], Any]]

_GRAPH_REMEDY = (
    " In a graph, such as that of a `tf.function`, tensors have no values yet: "
    "use TensorFlow's operations instead of `.numpy()`, NumPy, and `if` or "
    "`while` on tensors."
)
_ACTIONS_REMEDY = (
    " Where actions are not a finite set, an objective tries those of its "
    "policies, and dice_tf.check_game zeros of the shapes `action_shapes`, "
    "clipped to `action_bounds`: override these two properties if the game "
    "needs others."
)


def check_game(game: Game) -> None:
    """Checks that a game of your own keeps to what `dice_tf.games.Game` says.

    The attributes are read; a few steps are played eagerly, twice with the
    same seeds, and traced in a graph. The seeds are constants: the check
    changes no random numbers of yours. Objectives call it when they are made,
    for all games that are not dice_tf's own.

    A game whose `is_compilable` is False may hold its episodes. It is played
    once, to the end of an episode, so that each state is stepped once.

    Args:
      game: the game.

    Raises:
      TypeError, ValueError: with the attribute, or the method, player and
        field, what came and what was expected: if an attribute is missing or
        of a wrong kind; if a method fails, eagerly or in a graph, or does not
        return a state and a `TimeStep` of tuples with one tensor per player,
        of the right shapes and dtypes; if the structure, a shape or a dtype of
        the state changes; if a method draws from anything but its seed, or
        `step` draws and ignores its seed.

    Example:
      >>> dice_tf.check_game(dice_tf.games.CoinGame())
    """
    if not isinstance(game, Game):
        raise TypeError(
            f"`game` must be a dice_tf.games.Game. Received: {game!r}."
        )
    _check_attributes(game)
    _check_play(game, _NUM_STEPS if game.is_compilable else game.episode_length)


def check_foreign_attributes(game: Game) -> None:
    """Checks the attributes of a game, as `check_game` does.

    Objectives call this before policies take their seats, and then
    `check_foreign_play`. Both pass over the games of dice_tf itself, over what
    is not a `Game`, and over all games in a graph.

    Args:
      game: the game.

    Raises:
      TypeError, ValueError: as of `check_game`.
    """
    if _is_foreign(game):
        _check_attributes(game)


def check_foreign_play(game: Game, samplers: Samplers) -> None:
    """Checks what a game does with a few actions, as `check_game` does.

    Args:
      game: the game.
      samplers: one per player, from observations `[B, ...]` to actions of
        the player's policy. Only that of a player whose actions are not a
        finite set is called: games need not say of what shape they are.

    Raises:
      TypeError, ValueError: as of `check_game`.
    """
    if _is_foreign(game):
        _check_play(game, _NUM_STEPS, samplers)


def _is_foreign(game: Any) -> bool:
    package = type(game).__module__.partition(".")[0]
    is_foreign = isinstance(game, Game) and package != "dice_tf"
    return is_foreign and tf.executing_eagerly()


def _check_play(
    game: Game, num_steps: int, samplers: Samplers | None = None
) -> None:
    num_steps = min(num_steps, game.episode_length)
    seed = tf.constant([0, 1])
    played = _play(game, seed, _BATCH_SIZE, num_steps, samplers)
    if game.is_compilable:
        again = _play(game, seed, _BATCH_SIZE, num_steps, samplers)
        _check_repeatable(game, played, again)
        _play(game, seed, _OTHER_BATCH_SIZE, 1, samplers)
        _check_step_seed(game, samplers)
    _trace(game, min(num_steps, _NUM_STEPS), samplers)


# Attributes.


def _check_attributes(game: Game) -> None:
    name = _name(game)
    values = {}
    for attribute in (
        "num_players",
        "num_actions",
        "observation_shapes",
        "episode_length",
        "dtype",
    ):
        try:
            values[attribute] = getattr(game, attribute)
        except AttributeError as error:
            raise ValueError(
                f"`game` has no attribute `{attribute}`, which every "
                f"dice_tf.games.Game must have. Set it in {name}."
            ) from error
    count = check_whole_number("game.num_players", values["num_players"], 1)
    check_whole_number("game.episode_length", values["episode_length"], 1)
    check_float_dtype("game.dtype", values["dtype"])
    for attribute in ("num_actions", "observation_shapes", "action_shapes"):
        _check_entries(game, attribute, count)
    for player_id, number in enumerate(game.num_actions):
        if number is not None:
            what = f"game.num_actions[{player_id}]"
            check_whole_number(what, number, 1)
    for attribute in ("observation_shapes", "action_shapes"):
        for player_id, shape in enumerate(getattr(game, attribute)):
            _check_shape(f"game.{attribute}[{player_id}]", shape)


def _check_entries(game: Game, attribute: str, count: int) -> None:
    values = getattr(game, attribute)
    if not isinstance(values, (tuple, list)):
        raise TypeError(
            f"`game.{attribute}` must be a tuple with one entry per player. "
            f"Received: {values!r} (of type {type(values).__name__})."
        )
    if len(values) != count:
        raise ValueError(
            f"`game.{attribute}` must have one entry for each of "
            f"`num_players`={count} players. Received {len(values)}: "
            f"{values!r}."
        )


def _check_shape(what: str, shape: Any) -> None:
    is_shape = isinstance(shape, (tuple, list, tf.TensorShape))
    if not is_shape:
        raise TypeError(
            f"`{what}` must be a shape, such as (5,), or () for one number. "
            f"Received: {shape!r} (of type {type(shape).__name__})."
        )
    for axis, size in enumerate(shape):
        check_whole_number(f"{what}[{axis}]", size, 0)


# Plays.


class _Result(NamedTuple):
    """What a method returned.

    Attributes:
      state: the state.
      time_step: the `TimeStep`.
    """

    state: Any
    time_step: TimeStep


def _play(
    game: Game,
    seed: tf.Tensor,
    batch_size: int,
    num_steps: int,
    samplers: Samplers | None,
) -> list[_Result]:
    """Returns what `reset` and each `step` returned, all of it checked."""
    first_seed, *seeds = split_seed(seed, 1 + num_steps)
    results = [_reset(game, first_seed, batch_size)]
    for number, step_seed in enumerate(seeds):
        state, time_step = results[-1]
        seen = time_step.observations
        actions = _actions(game, seen, batch_size, number, samplers)
        results.append(_step(game, state, actions, step_seed, batch_size))
        _check_same_state(game, state, results[-1].state)
        if bool(time_step.truncations) != bool(
            results[-1].time_step.truncations
        ):
            raise ValueError(
                f"`{_name(game)}.step` must return `truncations` if `reset` "
                "does, one tensor per player, and `()` if not. Received from "
                f"`reset`: {described(time_step.truncations)}; from `step`: "
                f"{described(results[-1].time_step.truncations)}."
            )
    return results


def _reset(game: Game, seed: Any, batch_size: int) -> _Result:
    def call() -> Any:
        return game.reset(seed, batch_size)

    return _called(game, "reset", call, batch_size)


def _step(
    game: Game,
    state: Any,
    actions: tuple[tf.Tensor, ...],
    seed: Any,
    batch_size: int,
) -> _Result:
    def call() -> Any:
        return game.step(state, actions, seed)

    return _called(game, "step", call, batch_size)


def _called(
    game: Game, method: str, call: Callable, batch_size: int
) -> _Result:
    """Returns what a method returns, or raises if that is not in order."""
    what = f"`{_name(game)}.{method}`"
    try:
        result = call()
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:300]
        message = f"{what} failed{_where()}: {type(error).__name__}: {reason}"
        message += "" if message.endswith(".") else "."
        if _where():
            message += _GRAPH_REMEDY
        elif method == "step" and None in game.num_actions:
            message += _ACTIONS_REMEDY
        raise ValueError(message) from error
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(
            f"{what} must return a tuple of the state and a "
            f"dice_tf.games.TimeStep. Received{_where()}: {described(result)}."
        )
    state, time_step = result
    if not isinstance(time_step, TimeStep):
        raise TypeError(
            f"{what} must return a dice_tf.games.TimeStep as its second "
            f"result. Received{_where()}: {described(time_step)}."
        )
    _check_time_step(game, method, time_step, batch_size)
    for name, leaf in _leaves("state", state):
        _check_leaf(f"{what}: `{name}`", leaf)
    return _Result(state, time_step)


def _where() -> str:
    return "" if tf.executing_eagerly() else " in a graph"


def _check_time_step(
    game: Game, method: str, time_step: TimeStep, batch_size: int
) -> None:
    shapes = [(batch_size, *shape) for shape in game.observation_shapes]
    numbers = [(batch_size,)] * game.num_players
    for field, values, expected in (
        ("observations", time_step.observations, shapes),
        ("rewards", time_step.rewards, numbers),
        ("truncations", time_step.truncations, numbers),
    ):
        if field == "truncations" and values == ():
            continue
        what = f"`{_name(game)}.{method}`: `{field}"
        if not isinstance(values, tuple) or len(values) != game.num_players:
            raise TypeError(
                f"{what}` must be a tuple with one tensor for each of "
                f"{game.num_players} players. Received{_where()}: "
                f"{described(values)}."
            )
        for player_id, (value, shape) in enumerate(
            zip(values, expected, strict=True)
        ):
            name = f"{what}[{player_id}]`"
            reason = (
                f"`batch_size` episodes of `observation_shapes[{player_id}]`"
                if field == "observations"
                else "one number per episode"
            )
            _check_tensor(game, name, value, shape, reason)
    name = f"`{_name(game)}.{method}`: `discounts`"
    values = time_step.discounts
    _check_tensor(game, name, values, (batch_size,), "one number per episode")


def _check_tensor(
    game: Game, what: str, value: Any, shape: tuple, reason: str
) -> None:
    expected = (
        f"{what} must be a tensor of shape {shape}, {reason}, and of "
        f"`game.dtype`, {tf.as_dtype(game.dtype).name}. Received{_where()}: "
    )
    if not isinstance(value, (tf.Tensor, tf.Variable, np.ndarray)):
        raise TypeError(f"{expected}{value!r} (of {type(value).__name__}).")
    is_right = tf.TensorShape(value.shape) == tf.TensorShape(shape)
    if not is_right or tf.as_dtype(value.dtype) != tf.as_dtype(game.dtype):
        raise ValueError(f"{expected}{described(value)}.")


def _check_leaf(what: str, leaf: Any) -> None:
    """Raises if a part of the state is not a tensor."""
    # It may be without an axis of episodes, such as what all episodes share.
    try:
        tf.convert_to_tensor(leaf)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{what} must be a tensor: a state is a tensor or a nest of "
            f"tensors. Received{_where()}: {leaf!r} (of {type(leaf).__name__})."
        ) from error


def _check_same_state(game: Game, before: Any, after: Any) -> None:
    what = f"`{_name(game)}.step` must return a state like the one it gets"
    try:
        tf.nest.assert_same_structure(before, after)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{what}: of the same structure. It got {described(before)} and "
            f"returned{_where()} {described(after)}."
        ) from error
    for (name, old), (_, new) in zip(
        _leaves("state", before), _leaves("state", after), strict=True
    ):
        old, new = tf.convert_to_tensor(old), tf.convert_to_tensor(new)
        if described(old) != described(new):
            raise ValueError(
                f"{what}: of the same shapes and dtypes. `{name}` was "
                f"{described(old)} and is{_where()} {described(new)} after the "
                "step."
            )


def _actions(
    game: Game,
    observations: tuple[Any, ...],
    batch_size: int,
    number: int,
    samplers: Samplers | None,
) -> tuple[Any, ...]:
    """Returns actions that are legal, others at each step."""
    actions = []
    for player_id, count in enumerate(game.num_actions):
        seen = observations[player_id]
        if count is not None:
            action = tf.fill([batch_size], (number + player_id) % count)
            mask = game.legal_actions(seen, player_id)
            if mask is not None:
                legal = tf.cast(mask, tf.int32)
                action = tf.argmax(legal, axis=-1, output_type=tf.int32)
        elif samplers is not None:
            action = samplers[player_id](seen)
        else:
            action = _some_numbers(game, player_id, batch_size)
        actions.append(action)
    return tuple(actions)


def _some_numbers(game: Game, player_id: int, batch_size: int) -> tf.Tensor:
    """Returns actions as the game says that they are."""
    action = np.zeros([batch_size, *game.action_shapes[player_id]])
    bounds = game.action_bounds[player_id]
    if bounds is not None:
        action = np.clip(action, *bounds)
    return tf.constant(action, tf.as_dtype(game.dtype))


def _trace(game: Game, num_steps: int, samplers: Samplers | None) -> None:
    """Plays in a graph, which is not run."""
    tf.function(
        lambda seed: _play(game, seed, _BATCH_SIZE, num_steps, samplers),
        autograph=False,
    ).get_concrete_function(tf.TensorSpec([2], tf.int32))


# Randomness.


def _check_repeatable(
    game: Game, played: list[_Result], again: list[_Result]
) -> None:
    methods = ["reset"] + ["step"] * (len(played) - 1)
    for method, first, second in zip(methods, played, again, strict=True):
        different = _difference(first, second)
        if different:
            raise ValueError(
                f"`{_name(game)}.{method}` must be a function of its arguments "
                f"and draw from its seed alone. `{different}` is another one "
                "when it is called again with the same arguments. Draw by "
                "dice_tf.seeds.uniform(seed, shape, dtype), and keep what "
                "changes in the state."
            )


def _check_step_seed(game: Game, samplers: Samplers | None) -> None:
    """Raises if `step` draws random numbers that do not depend on its seed.

    Episodes that are alike go on differently if a step is random. Another
    seed then has to make a difference, too.
    """
    first = _reset(game, tf.constant([0, 1]), _BATCH_SIZE)

    def repeat_first(leaf: Any) -> tf.Tensor:
        tensor = tf.convert_to_tensor(leaf)
        if tensor.shape.rank == 0 or tensor.shape[0] != _BATCH_SIZE:
            return tensor
        return tf.repeat(tensor[:1], _BATCH_SIZE, axis=0)

    state = tf.nest.map_structure(repeat_first, first.state)
    seen = tf.nest.map_structure(repeat_first, first.time_step.observations)
    actions = tf.nest.map_structure(
        repeat_first, _actions(game, seen, _BATCH_SIZE, 0, samplers)
    )
    seeds = split_seed(tf.constant([0, 2]), _NUM_SEEDS)
    result = _step(game, state, actions, seeds[0], _BATCH_SIZE)
    alike = tf.nest.map_structure(repeat_first, result)
    different = _difference(result, alike)
    if different and not any(
        _difference(result, _step(game, state, actions, seed, _BATCH_SIZE))
        for seed in seeds[1:]
    ):
        raise ValueError(
            f"`{_name(game)}.step` ignores its seed: from equal states and "
            f"actions `{different}` is not the same in all episodes, and yet "
            "it is the same for all seeds. Draw by dice_tf.seeds.uniform(seed, "
            "shape, dtype)."
        )


def _difference(first: _Result, second: _Result) -> str:
    """Returns the name of the first part that differs, or an empty string."""
    for name in ("state", "time_step"):
        pairs = zip(
            _leaves(name, getattr(first, name)),
            _leaves(name, getattr(second, name)),
            strict=True,
        )
        for (path, one), (_, another) in pairs:
            one, another = np.asarray(one), np.asarray(another)
            is_same = (one == another) | ((one != one) & (another != another))
            if not np.all(is_same):
                return path.removeprefix("time_step.")
    return ""


# Names.


def _name(game: Game) -> str:
    return type(game).__name__


def _leaves(path: str, nest: Any) -> Iterator[tuple[str, Any]]:
    """Yields the tensors of a nest and where they are, as Python writes it."""
    if isinstance(nest, dict):
        parts = [(f"{path}[{key!r}]", nest[key]) for key in sorted(nest)]
    elif isinstance(nest, tuple) and hasattr(nest, "_fields"):
        names = nest._fields
        parts = [
            (f"{path}.{name}", part)
            for name, part in zip(names, nest, strict=True)
        ]
    elif isinstance(nest, (tuple, list)):
        parts = [(f"{path}[{i}]", part) for i, part in enumerate(nest)]
    else:
        yield path, nest
        return
    for part_path, part in parts:
        yield from _leaves(part_path, part)
