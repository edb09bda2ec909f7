"""The rates that a learner assumes of its opponents."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from dice_tf import learners
from dice_tf.learners import FittedRates, FixedRates
from dice_tf.objectives import FiniteTasks, FunctionObjective, SampledTasks
from tests.learners import settings

INITIAL = 0.9
# Everything that assumes rates, with memory of them.
KINDS = {
    "look_ahead": learners.LookAhead,
    "lola": learners.LOLA,
    "sos": learners.SOS,
    "lola_dice": functools.partial(learners.LOLADiCE, 2),
    "competitive": learners.CompetitiveGradientDescent,
    "extragradient": learners.Extragradient,
    "hola": functools.partial(learners.HOLA, 2),
    "pola": functools.partial(learners.POLA, 2, 0.1, 0.0),
}


@functools.cache
def setting_of(name):
    return settings.make(name)


def play(setting, learner, move, num_steps=4):
    """Steps of player 0, while the others move by `move`."""
    params = [
        [tf.constant(x) for x in player_params]
        for player_params in setting.params
    ]
    state = learner.init(params)
    for step in range(num_steps):
        direction, after = learner.step(
            setting.objective, params, 0, None, state
        )
        tf.nest.assert_same_structure(state, after)
        state = after
        params = [
            [
                x + 0.05 * d
                for x, d in zip(player_params, direction, strict=True)
            ]
            if i == 0
            else move(params, i, step)
            for i, player_params in enumerate(params)
        ]
    return state, params


def ascend(setting, rates, params, player_id, step):
    gradients = learners.Naive().gradient(setting.objective, params, player_id)
    rate = rates[player_id]
    rate = rate(step) if callable(rate) else rate
    return [
        x + rate * g for x, g in zip(params[player_id], gradients, strict=True)
    ]


def fitted(rates, state, params):
    return [
        float(rate)
        for rate in rates.values(rates.observe(state, params), len(params))
    ]


@pytest.mark.parametrize(
    "kind, name",
    [(kind, "quadratic_3") for kind in sorted(KINDS)]
    + [("lola_dice", "matrix_2")],
)
def test_the_rate_of_a_naive_opponent_is_found(kind, name):
    setting, real = setting_of(name), (None, 0.03, 0.11)
    rates = FittedRates(INITIAL)
    learner = KINDS[kind](inner_learning_rate=rates)
    state, params = play(
        setting, learner, functools.partial(ascend, setting, real)
    )
    remembered = state.rates if kind == "lola_dice" else state
    found = fitted(rates, remembered, params)
    np.testing.assert_allclose(
        found[1:], real[1 : len(setting.params)], rtol=1e-9
    )
    # What it found is what it then assumes.
    direction, _ = learner.step(setting.objective, params, 0, None, state)
    expected = KINDS[kind](inner_learning_rate=tuple(found)).gradient(
        setting.objective, params, 0
    )
    np.testing.assert_allclose(
        settings.vector(direction), settings.vector(expected), rtol=1e-9
    )


def test_maml_finds_the_rate_at_which_its_own_player_moves():
    """`a = <g, dtheta> / <g, g>` of one naive step, and then adapts with it."""
    setting, real = setting_of("quadratic_2"), 0.07
    learner = learners.MAML(2, FittedRates(INITIAL))
    params = [
        [tf.constant(x) for x in player_params]
        for player_params in setting.params
    ]
    _, state = learner.step(
        setting.objective, params, 0, None, learner.init(params)
    )
    params[0] = ascend(setting, (real,), params, 0, 0)
    found = fitted(learner.inner_rates, state, params)
    assert found == pytest.approx([real, INITIAL])
    direction, _ = learner.step(setting.objective, params, 0, None, state)
    expected = learners.MAML(2, real).gradient(setting.objective, params, 0)
    np.testing.assert_allclose(
        settings.vector(direction), settings.vector(expected), rtol=1e-9
    )


@pytest.mark.parametrize("family", ["finite", "sampled"])
def test_maml_fits_to_the_mean_gradient_over_a_family(family):
    """Of V = -sum_k |x - c_k|^2 / n it is `2 (mean c - x)`."""
    goals = tf.constant([[1.0, -2.0], [0.5, 3.0]], tf.float64)

    def task(goal):
        return FunctionObjective(
            [lambda params: -tf.reduce_sum((params[0][0] - goal) ** 2)]
        )

    objective = {
        "finite": lambda: FiniteTasks(list(map(task, goals))),
        "sampled": lambda: SampledTasks(task, lambda seed, number: goals, 2),
    }[family]()
    params = [[tf.constant([0.3, 0.4], tf.float64)]]
    learner = learners.MAML(1, FittedRates(0.1))
    step = tf.function(learner.step, autograph=False)
    _, state = step(
        objective, params, 0, tf.constant([1, 2]), learner.init(params)
    )
    expected = 2.0 * (np.mean(goals, axis=0) - params[0][0])
    np.testing.assert_allclose(state.gradients[0][0], expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["hola", "pola", "maml"])
def test_rates_that_do_not_change_are_numbers(kind):
    """One per player, so that taking the wrong one shows."""
    setting = setting_of("quadratic_3")
    build = KINDS.get(kind, functools.partial(learners.MAML, 1))
    rates = (0.2, 0.3, 0.4)
    one, two, another = (
        setting.direction(build(inner_learning_rate=given), 1)
        for given in (FixedRates(rates), rates, 0.1)
    )
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - another).max() > 1e-3


def test_the_fit_forgets():
    """a = (d a_1 |g_1|^2 + a_2 |g_2|^2) / (d |g_1|^2 + |g_2|^2)."""
    setting, rates = setting_of("quadratic_2"), FittedRates(INITIAL, 0.5)
    squares = []

    def move(params, player_id, step):
        (found,) = [
            learners.Naive().gradient(setting.objective, params, player_id)
        ]
        squares.append(np.sum(settings.vector(found) ** 2))
        rate = (0.05, 0.02)[step]
        return [
            x + rate * g for x, g in zip(params[player_id], found, strict=True)
        ]

    state, params = play(setting, learners.LOLA(rates), move, 2)
    expected = (0.5 * 0.05 * squares[0] + 0.02 * squares[1]) / (
        0.5 * squares[0] + squares[1]
    )
    assert fitted(rates, state, params)[1] == pytest.approx(expected)


def test_an_opponent_that_stands_still_is_seen_to_do_so():
    setting, rates = setting_of("quadratic_2"), FittedRates(INITIAL)
    state, params = play(
        setting, learners.LOLA(rates), lambda params, i, step: params[i]
    )
    assert fitted(rates, state, params)[1] == 0.0


def test_a_rate_is_never_negative():
    setting, rates = setting_of("quadratic_2"), FittedRates(INITIAL)
    descend = functools.partial(ascend, setting, (None, -0.05))
    state, params = play(setting, learners.LOLA(rates), descend)
    assert fitted(rates, state, params)[1] == 0.0


def test_before_anything_was_seen_the_rate_is_the_initial_one():
    setting = setting_of("quadratic_3")
    rates = FittedRates((0.1, 0.2, 0.3))
    params = [
        [tf.constant(x) for x in player_params]
        for player_params in setting.params
    ]
    state = rates.init(params)
    assert fitted(rates, state, params) == pytest.approx([0.1, 0.2, 0.3])
    empty = FittedRates(0.5)
    np.testing.assert_allclose(
        empty.values(empty.observe(empty.init([[], []]), [[], []]), 2),
        [0.5, 0.5],
    )


def test_fixed_rates_remember_nothing():
    rates = FixedRates((0.1, 0.2))
    assert rates.init([[], []]) == rates.observe((), [[], []]) == ()
    assert rates.remember((), [[], []], {}) == ()
    assert rates.values((), 2) == (0.1, 0.2)


def test_arguments_out_of_their_range_are_refused():
    with pytest.raises(ValueError, match="`decay` must be finite and in"):
        FittedRates(1.0, decay=1.5)
    with pytest.raises(ValueError, match="`initial` must be finite and at lea"):
        FittedRates(-1.0)
    with pytest.raises(ValueError, match="or one for each of 2 players"):
        FixedRates((0.1, 0.2, 0.3)).values((), 2)


SCHEDULE = keras.optimizers.schedules.ExponentialDecay(1.0, 2, 0.5)


@pytest.mark.parametrize("rates", [SCHEDULE, [0.5, SCHEDULE], lambda: 0.1])
@pytest.mark.parametrize("name", ["lola", "lola_dice", "pola", "hola"])
def test_a_schedule_points_to_rates_that_count(name, rates):
    with pytest.raises(
        TypeError, match="`inner_learning_rate` must .*subclass of InnerRates"
    ):
        KINDS[name](inner_learning_rate=rates)


class ScheduledRates(learners.InnerRates):
    """The example of the docstring: a schedule computes in float32."""

    reads_gradients = False

    def init(self, params):
        return tf.constant(0)

    def values(self, state, num_players):
        return (SCHEDULE(state),) * num_players

    def remember(self, state, params, gradients):
        return state + 1


@pytest.mark.parametrize("name", sorted(KINDS))
def test_rates_that_count_follow_a_schedule(name):
    setting = setting_of("quadratic_2")
    objective, params = setting.objective, setting.params
    learner = KINDS[name](inner_learning_rate=ScheduledRates())
    state = learner.init(params)
    for step in range(3):
        found, state = learner.step(objective, params, 0, None, state)
        fixed = KINDS[name](inner_learning_rate=0.5 ** (step / 2))
        expected = fixed.gradient(objective, params, 0)
        assert found[0].dtype == tf.float64
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)


@pytest.mark.parametrize("rates", [(), (0.1,), (0.1, 0.2, 0.3), 0.1])
def test_there_is_one_rate_per_player(rates):
    class Odd(learners.InnerRates):
        def values(self, state, num_players):
            return rates

    setting = setting_of("quadratic_2")
    for name in ("lola", "lola_dice"):
        with pytest.raises(
            (TypeError, ValueError), match="`inner_learning_rate.values.* must"
        ):
            KINDS[name](inner_learning_rate=Odd()).gradient(
                setting.objective, setting.params, 0
            )
