"""LOLA-DiCE beyond plain steps: optimisers, truncation, memory, rates."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from dice_tf.inner_optimizers import SGD, Adam, ClipByGlobalNorm
from dice_tf.learners import FittedRates, FixedRates, LOLADiCE, Naive
from dice_tf.objectives import FunctionObjective
from tests import oracles
from tests.learners import settings

RATE = 0.4


@functools.cache
def setting_of(name):
    return settings.make(name)


def as_tensors(params):
    return [[tf.constant(x) for x in player_params] for player_params in params]


def value_ahead(learner, setting, player_id, x):
    """V_i where the opponents' steps lead if player i is at x."""
    params = as_tensors(setting.params)
    params[player_id] = [tf.constant(x)]
    seeds = [None] * learner.num_lookaheads
    reached = learner.look_ahead(setting.objective, params, player_id, seeds)
    return float(setting.objective(reached)[player_id])


@pytest.mark.parametrize(
    "optimizer",
    [SGD(0.6), Adam(0.8, 0.9, 1e-2), ClipByGlobalNorm(0.3, Adam(epsilon=0.1))],
)
@pytest.mark.parametrize("player_id", [0, 1])
def test_it_flows_through_every_inner_optimizer(optimizer, player_id):
    """Against finite differences of where the steps lead."""
    setting = setting_of("matrix_2")
    learner = LOLADiCE(3, RATE, optimizer)
    expected = oracles.gradient(
        functools.partial(value_ahead, learner, setting, player_id),
        setting.params[player_id][0],
    )
    found = setting.direction(learner, player_id)
    np.testing.assert_allclose(found, expected.ravel(), atol=1e-7)


def test_the_last_look_aheads_alone_can_be_differentiated():
    """k of K from here are k of k from where the first K - k lead."""
    setting = setting_of("matrix_2")
    params = as_tensors(setting.params)
    for kept in (0, 1, 2, 3, 4):
        found = setting.direction(LOLADiCE(3, RATE, num_differentiated=kept), 0)
        constant = max(0, 3 - kept)
        reached = LOLADiCE(3, RATE).look_ahead(
            setting.objective, params, 0, [None] * constant
        )
        (expected,) = LOLADiCE(3 - constant, RATE).gradient(
            setting.objective, reached, 0
        )
        np.testing.assert_allclose(found, np.ravel(expected), rtol=1e-11)
        whole = setting.direction(LOLADiCE(3, RATE), 0)
        assert (np.linalg.norm(found - whole) > 1e-3) == (kept < 3)


def test_truncation_holds_what_the_inner_optimizer_remembers_constant():
    """V_0 = x y, V_1 = s x y with momentum m, by hand.

    The gradients of V_1 in y are s x, twice: y' = y + a s x and
    y'' = y' + a (m s x + s x). Through the last step alone, with m's memory
    constant, dy''/dx = a s.
    """
    a, m, s, x, y = 0.3, 0.7, 1.3, 0.6, -0.2

    def values(params):
        product = params[0][0] * params[1][0]
        return product, s * product

    objective = FunctionObjective(
        [functools.partial(lambda p, i: values(p)[i], i=i) for i in range(2)]
    )
    params = [[tf.constant(x, tf.float64)], [tf.constant(y, tf.float64)]]
    reached = y + a * s * x * (2 + m)
    for kept, slope in [(0, 0.0), (1, a * s), (2, a * s * (2 + m))]:
        learner = LOLADiCE(2, a, SGD(m), num_differentiated=kept)
        (found,) = learner.gradient(objective, params, 0)
        assert float(found) == pytest.approx(reached + x * slope)


@pytest.mark.parametrize("optimizer", [SGD(0.6), Adam(epsilon=0.1)])
def test_slots_are_carried_as_by_an_opponent_that_makes_one_step(optimizer):
    """The imagined optimiser knows what the real one would know."""
    setting = setting_of("matrix_2")
    learner = LOLADiCE(2, RATE, optimizer, carry_slots=True)
    params = as_tensors(setting.params)
    state = learner.init(params)
    slots = optimizer.init(params[1])
    for _ in range(3):
        (gradient,) = Naive().gradient(setting.objective, params, 1)
        before = state
        direction, state = learner.step(
            setting.objective, params, 0, None, state
        )
        tf.nest.assert_same_structure(before, state)
        params[1], slots = optimizer.step(params[1], [gradient], slots, RATE)
        params[0] = [params[0][0] + 0.1 * direction[0]]
        tf.nest.map_structure(
            functools.partial(np.testing.assert_allclose, rtol=1e-12),
            tf.nest.flatten(state.slots[1]),
            tf.nest.flatten(slots),
        )
    # Its first look-ahead then leads where the opponent really goes.
    carried, _ = learner.step(setting.objective, params, 0, None, state)
    reset, _ = learner.step(
        setting.objective, params, 0, None, learner.init(params)
    )
    assert np.linalg.norm(carried[0] - reset[0]) > 1e-3


def test_slots_are_reset_unless_they_are_carried():
    setting = setting_of("matrix_2")
    learner = LOLADiCE(2, RATE, SGD(0.6))
    params = as_tensors(setting.params)
    assert learner.init(params) == ()
    first, state = learner.step(setting.objective, params, 0, None, ())
    again, _ = learner.step(setting.objective, params, 0, None, state)
    np.testing.assert_array_equal(first[0], again[0])


@pytest.mark.parametrize("name", ["matrix_2", "quadratic_3"])
def test_rates_as_an_object_are_the_same_as_numbers(name):
    setting = setting_of(name)
    rates = (0.4, 0.7, 1.1)[: len(setting.params)]
    for given in (FixedRates(rates), FittedRates(rates)):
        np.testing.assert_allclose(
            setting.direction(LOLADiCE(2, given), 0),
            setting.direction(LOLADiCE(2, rates), 0),
            rtol=1e-13,
        )


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (
            {"num_differentiated": -1},
            ValueError,
            "`num_differentiated` must be at least 0",
        ),
        (
            {"num_differentiated": 1.5},
            TypeError,
            "`num_differentiated` must be a whole number",
        ),
        (
            {"inner_optimizer": keras.optimizers.SGD()},
            TypeError,
            "`inner_optimizer` must be a dice_tf.inner_optimizers.InnerOpt",
        ),
    ],
)
def test_arguments_out_of_their_range_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        LOLADiCE(2, 1.0, **arguments)
