"""What `check_game` finds, and what it leaves alone."""

import re
import time

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from dice_tf.games import TimeStep, game_check
from tests.toys import (
    ASYMMETRIC,
    EndsEarly,
    Plain,
    Pursuit,
    masked_game,
    normal_policy,
)


class Walk(dice_tf.games.Game):
    """Two players push a point along a line, and chance does, too."""

    num_players = 2
    num_actions = (3, 2)
    observation_shapes = ((1,), (2,))
    episode_length = 4
    dtype = tf.float32

    def reset(self, seed, batch_size):
        place = dice_tf.seeds.uniform(seed, [batch_size], self.dtype)
        return {"place": place}, self.time_step(place)

    def step(self, state, actions, seed):
        place = state["place"] + tf.cast(actions[0] - actions[1], self.dtype)
        place += dice_tf.seeds.uniform(seed, place.shape, self.dtype)
        return {"place": place}, self.time_step(place)

    def time_step(self, place):
        return TimeStep(
            (place[:, tf.newaxis], tf.stack([place, -place], axis=1)),
            (place, -place),
            tf.ones_like(place),
        )


class ChangedReset(Walk):
    def reset(self, seed, batch_size):
        return self.change(*super().reset(seed, batch_size))


class ChangedStep(Walk):
    def step(self, state, actions, seed):
        return self.change(*super().step(state, actions, seed))


def changed(method, **fields):
    """A `Walk` one of whose methods returns other fields of its `TimeStep`."""
    kind = ChangedReset if method == "reset" else ChangedStep
    game = kind()

    def change(state, after):
        new = {name: value(after) for name, value in fields.items()}
        return state, after._replace(**new)

    game.change = change
    return game


def objective_of(game):
    policies = [
        dice_tf.policies.mlp(Walk(), i, hidden_units=[]) for i in range(2)
    ]
    return dice_tf.objectives.DiCEObjective(game, policies, batch_size=3)


def assert_refused(game, error, message):
    """By the function, and by an objective when that is made."""
    for refuse in (dice_tf.check_game, objective_of):
        with pytest.raises(error, match=message):
            refuse(game)


@pytest.mark.parametrize(
    "game",
    [
        Walk(),
        Pursuit(),
        Plain(dice_tf.games.iterated_matrix_game(ASYMMETRIC, 1)),
        EndsEarly(dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)),
        masked_game(),
        dice_tf.games.CoinGame(dtype="float64"),
        dice_tf.games.TabularCoinGame(grid_size=2),
        dice_tf.games.CommonPool(),
        dice_tf.games.PointNavigation([0.1, 0.2]),
        dice_tf.games.RepeatedCournot(),
        dice_tf.games.iterated_public_goods(),
    ],
    ids=lambda game: type(game).__name__,
)
def test_games_in_order_pass(game):
    assert dice_tf.check_game(game) is None


def test_what_is_not_a_game_is_refused():
    with pytest.raises(TypeError, match="`game` must be a dice_tf.games.Game"):
        dice_tf.check_game(object())


# Attributes.


@pytest.mark.parametrize(
    "name",
    [
        "num_players",
        "num_actions",
        "observation_shapes",
        "episode_length",
        "dtype",
    ],
)
def test_a_missing_attribute_is_named(name):
    members = {key: value for key, value in vars(Walk).items() if key != name}
    kind = type("Walk", (dice_tf.games.Game,), members)
    assert_refused(kind(), ValueError, f"`game` has no attribute `{name}`")


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("num_players", 2.0, TypeError, "`game.num_players` must be a whole"),
        ("num_players", 3, ValueError, "`num_players`=3 players. Received 2"),
        ("num_actions", 2, TypeError, "`game.num_actions` must be a tuple"),
        ("num_actions", (3,), ValueError, "`game.num_actions` must have one e"),
        ("num_actions", (3, 0), ValueError, r"`game.num_actions\[1\]` must be"),
        ("num_actions", (3, "2"), TypeError, r"`game.num_actions\[1\]` must b"),
        (
            "observation_shapes",
            (1, 2),
            TypeError,
            r"`game.observation_shapes\[0\]` must be a shape.*Received: 1",
        ),
        (
            "observation_shapes",
            ((1,), (2.5,)),
            TypeError,
            r"`game.observation_shapes\[1\]\[0\]` must be a whole number",
        ),
        ("episode_length", 0, ValueError, "`game.episode_length` must be at l"),
        ("dtype", "int32", ValueError, "`game.dtype` must be 'float32' or 'fl"),
        ("action_shapes", ((),), ValueError, "`game.action_shapes` must have"),
    ],
)
def test_an_attribute_of_a_wrong_kind_is_named(name, value, error, message):
    kind = type("Walk", (Walk,), {name: value})
    assert_refused(kind(), error, message)


# What methods return.


def column(time_step):
    return tuple(reward[:, tf.newaxis] for reward in time_step.rewards)


def doubles(time_step):
    one, another = time_step.rewards
    return (one, tf.cast(another, tf.float64))


@pytest.mark.parametrize("method", ["reset", "step"])
@pytest.mark.parametrize(
    ("field", "value", "error", "message"),
    [
        (
            "rewards",
            column,
            ValueError,
            r"rewards\[0\]` must be a tensor of shape \(5,\), one number per "
            r"episode.* float32. Received: float32 of shape \(5, 1\)",
        ),
        (
            "rewards",
            doubles,
            ValueError,
            r"rewards\[1\]` must .*float32. Received: float64 of shape \(5,\)",
        ),
        (
            "rewards",
            lambda step: list(step.rewards),
            TypeError,
            r"rewards` must be a tuple with one tensor for each of 2 players. "
            r"Received: list\(float32",
        ),
        (
            "rewards",
            lambda step: step.rewards[:1],
            TypeError,
            r"rewards` must be a tuple .* of 2 players. Received: tuple\(fl",
        ),
        (
            "rewards",
            lambda step: (0.0, 0.0),
            TypeError,
            r"rewards\[0\]` must be a tensor .* Received: 0.0 \(of float\)",
        ),
        (
            "observations",
            lambda step: step.observations[::-1],
            ValueError,
            r"observations\[0\]` must be a tensor of shape \(5, 1\), "
            r"`batch_size` episodes of `observation_shapes\[0\]`",
        ),
        (
            "observations",
            lambda step: step.observations[0],
            TypeError,
            "observations` must be a tuple",
        ),
        (
            "discounts",
            lambda step: tf.constant(1.0),
            ValueError,
            r"discounts` must be a tensor of shape \(5,\)",
        ),
        (
            "truncations",
            lambda step: (step.rewards[0],),
            TypeError,
            "truncations` must be a tuple with one tensor",
        ),
    ],
)
def test_a_wrong_field_is_named(method, field, value, error, message):
    game = changed(method, **{field: value})
    name = type(game).__name__
    assert_refused(game, error, f"`{name}.{method}`: `" + message)


def test_truncations_come_always_or_never():
    game = changed("step", truncations=lambda step: step.rewards)
    assert_refused(
        game,
        ValueError,
        r"must return `truncations` if `reset`.*Received from `reset`: tuple\("
        r"\); from `step`: tuple\(float32",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state, step: step,
            r"step` must return a tuple of the state and a dice_tf.games.TimeS",
        ),
        (
            lambda state, step: (state, tuple(step)),
            "must return a dice_tf.games.TimeStep as its second result",
        ),
        (
            lambda state, step: ({"place": "here", "more": None}, step),
            r"`state\['more'\]` must be a tensor.*Received: None",
        ),
    ],
)
def test_a_result_of_a_wrong_kind_is_described(change, message):
    game = ChangedStep()
    game.change = change
    assert_refused(game, TypeError, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state, step: (state["place"], step),
            r"of the same structure. It got \{'place': float32 of shape \(5,\)"
            r"\} and returned float32 of shape \(5,\)",
        ),
        (
            lambda state, step: ({**state, "time": state["place"]}, step),
            "of the same structure",
        ),
        (
            lambda state, step: (
                {"place": tf.cast(state["place"], tf.float64)},
                step,
            ),
            r"`state\['place'\]` was float32 of shape \(5,\) and is float64",
        ),
        (
            lambda state, step: ({"place": state["place"][:2]}, step),
            r"`state\['place'\]` was float32 of shape \(5,\) and is float32 of "
            r"shape \(2,\)",
        ),
    ],
)
def test_a_state_that_changes_its_kind_is_described(change, message):
    game = ChangedStep()
    game.change = change
    assert_refused(game, ValueError, message)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_a_reset_that_ignores_its_batch_size_is_found(batch_size):
    class Fixed(Walk):
        def reset(self, seed, _):
            return super().reset(seed, batch_size)

    assert_refused(
        Fixed(), ValueError, r"`Fixed.reset`: `observations\[0\]` must be a"
    )


def test_a_method_that_fails_is_named():
    class Broken(Walk):
        def step(self, state, actions, seed):
            raise KeyError("nothing here\nand more")

    message = "`Broken.step` failed: KeyError: 'nothing here"
    assert_refused(Broken(), ValueError, re.escape(message))


@pytest.mark.parametrize(
    "read", [lambda x: x.numpy(), lambda x: tf.constant(0.0) if x[0] > 9 else x]
)
def test_a_step_that_runs_eagerly_only_is_found(read):
    class Eager(Walk):
        def step(self, state, actions, seed):
            state, after = super().step(state, actions, seed)
            return {"place": tf.convert_to_tensor(read(state["place"]))}, after

    assert_refused(
        Eager(),
        ValueError,
        "`Eager.step` failed in a graph: .*use TensorFlow's operations",
    )


def test_a_shape_that_a_graph_does_not_know_is_found():
    class Unknown(Walk):
        def time_step(self, place):
            place = tf.boolean_mask(place, place > -9.0)
            return super().time_step(place)

    assert_refused(
        Unknown(), ValueError, r"Received in a graph: float32 of shape \(None"
    )


# Randomness.


@pytest.mark.parametrize(
    "draw",
    [
        lambda: tf.random.uniform([5]),
        lambda: tf.constant(np.random.default_rng().random(5), tf.float32),
    ],
)
@pytest.mark.parametrize("method", ["reset", "step"])
def test_draws_from_elsewhere_are_found(method, draw):
    game = changed(
        method, rewards=lambda step: (draw()[: len(step.rewards[0])],) * 2
    )
    assert_refused(
        game,
        ValueError,
        f"{method}` must be a function of its arguments and draw from its "
        r"seed alone. `rewards\[0\]` is another",
    )


def test_a_step_that_counts_its_calls_is_found():
    class Counting(Walk):
        count = 0

        def step(self, state, actions, seed):
            self.count += 1
            state, after = super().step(state, actions, seed)
            return {"place": state["place"] + self.count}, after

    assert_refused(Counting(), ValueError, r"`state\['place'\]` is another one")


def test_a_step_that_ignores_its_seed_is_found():
    class Deaf(Walk):
        def step(self, state, actions, seed):
            return super().step(state, actions, tf.constant([3, 4]))

    assert_refused(
        Deaf(), ValueError, r"`Deaf.step` ignores its seed: .*`state\['place'"
    )


def test_a_step_without_chance_may_ignore_its_seed():
    class Certain(Walk):
        def step(self, state, actions, seed):
            place = state["place"] + tf.cast(actions[0], self.dtype)
            return {"place": place}, self.time_step(place)

    dice_tf.check_game(Certain())


def test_nothing_is_drawn_from_generators_of_others():
    def numbers_after(make):
        np.random.seed(1)
        tf.random.set_seed(1)
        make()
        return np.random.random(), float(tf.random.uniform([]))

    expected = numbers_after(lambda: None)
    assert numbers_after(lambda: dice_tf.check_game(Walk())) == expected


# What is played, and when.


class Vectors(Pursuit):
    """Actions are vectors, which `action_shapes` does not say."""

    def step(self, state, actions, seed):
        return super().step(state, tuple(x[:, 0] for x in actions), seed)


def vector_head(outputs):
    return tfp.distributions.MultivariateNormalDiag(outputs, [1.0, 1.0])


def test_objectives_try_actions_of_the_policies():
    policies = [normal_policy(head=vector_head) for _ in range(2)]
    objective = dice_tf.objectives.DiCEObjective(Vectors(), policies, 0.9, 3)
    assert np.all(np.isfinite(objective(objective.initial_params(), [0, 1])))
    with pytest.raises(
        ValueError, match="`Vectors.step` failed: .*override these two prop"
    ):
        dice_tf.check_game(Vectors())


def test_actions_are_within_bounds():
    class Bounded(Pursuit):
        action_shapes = ((), ())
        action_bounds = ((2.0, 3.0), None)

        def step(self, state, actions, seed):
            assert tf.executing_eagerly() is False or actions[0][0] == 2.0
            return super().step(state, actions, seed)

    dice_tf.check_game(Bounded())


def test_a_game_that_holds_its_episodes_is_played_once_to_the_end():
    calls = []

    class Holding(Walk):
        is_compilable = False

        def reset(self, seed, batch_size):
            calls.append("reset")
            return super().reset(seed, batch_size)

        def step(self, state, actions, seed):
            calls.append("step")
            return super().step(state, actions, seed)

    dice_tf.check_game(Holding())
    # The second time is in a graph.
    assert calls == ["reset"] + 4 * ["step"] + ["reset", "step", "step"]


def test_objectives_play_no_games_of_the_library(monkeypatch):
    def fail(*_):
        raise AssertionError("it was played")

    game = dice_tf.games.CoinGame()
    monkeypatch.setattr(game, "reset", fail)
    policies = [
        dice_tf.policies.mlp(game, i, hidden_units=[]) for i in range(2)
    ]
    dice_tf.objectives.DiCEObjective(game, policies, batch_size=2)


def test_nothing_is_played_in_a_graph():
    class Broken(Walk):
        def step(self, state, actions, seed):
            raise AssertionError("it was played")

    tf.function(lambda: game_check.check_foreign_play(Broken(), ()))()


def test_a_check_is_quick():
    game_check.check_foreign_play(Walk(), ())
    start = time.perf_counter()
    game_check.check_foreign_play(Walk(), ())
    assert time.perf_counter() - start < 1.0
