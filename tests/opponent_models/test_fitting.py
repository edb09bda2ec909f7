"""Rates, schedules and optimisers of models, for all or by seat."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.diagnostics import MeasuredShaping
from dice_tf.inner_optimizers import SGD, Adam
from dice_tf.learners import Naive
from dice_tf.opponent_models import OpponentModelling
from tests.opponent_models.settings import (
    SEED,
    fitted_by_hand,
    models_of,
    setting,
    tables_of,
)
from tests.toys import THREE_PLAYERS

pytestmark = pytest.mark.own_process

# By iteration, 0, 1 and 2; all of them exact in float32.
RATES = [0.5, 0.5, 0.125]


def schedule():
    return keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.5, 0.125])


def fitted(learner, objective, params, player_id, num_iterations):
    """The models' tables after each iteration."""
    state, tables = learner.init(params), []
    for _ in range(num_iterations):
        step = learner.step(objective, params, player_id, SEED, state)
        state = step.state
        tables.append(
            [
                model_params[0] if model_params else None
                for model_params in state.params
            ]
        )
    return tables


def assert_tables(found, expected):
    for one, other in zip(found, expected, strict=True):
        if other is None:
            assert one is None
        else:
            np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize(
    ("learning_rate", "rates"),
    [
        (schedule(), [[rate] * 3 for rate in RATES]),
        ([schedule(), None, 0.25], [[rate, None, 0.25] for rate in RATES]),
    ],
    ids=["one for all", "one per seat"],
)
def test_models_are_fitted_with_the_rates_of_their_iteration(
    learning_rate, rates
):
    objective, params = setting(THREE_PLAYERS)
    models = models_of(objective, 1)
    learner = OpponentModelling(
        Naive(),
        models,
        learning_rate=learning_rate,
        num_steps=2,
        optimizer=SGD(),
    )
    expected = tables_of(models)
    found = fitted(learner, objective, params, 1, len(rates))
    for tables, rate_of_seat in zip(found, rates, strict=True):
        expected = fitted_by_hand(objective, params, expected, 2, rate_of_seat)
        assert_tables(tables, expected)


class Inner(Naive):
    """Is replaced where a trainer vectorises a step over runs."""

    replacement = Naive()

    def hoisted(self, states):
        return self.replacement


def test_many_runs_share_the_rate_of_an_iteration():
    """It is computed before the step is vectorised: schedules may branch."""
    objective, params = setting()
    learner = OpponentModelling(
        MeasuredShaping(Inner()),
        models_of(objective, 0),
        learning_rate=schedule(),
        num_steps=1,
    )
    state = learner.init(params)
    for _ in range(2):
        state = learner.step(objective, params, 0, SEED, state).state
    runs = tf.nest.map_structure(lambda x: tf.stack([x, x]), state)
    hoisted = learner.hoisted(runs)
    found = hoisted.step(objective, params, 0, SEED, state)
    expected = learner.step(objective, params, 0, SEED, state)
    for one, other in zip(
        tf.nest.flatten(found), tf.nest.flatten(expected), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert float(hoisted.rules[1].learning_rate) == RATES[2]
    assert hoisted.learner.learner is Inner.replacement
    # The learner itself is as it was.
    assert not tf.is_tensor(learner.rules[1].learning_rate)
    assert isinstance(learner.learner.learner, Inner)


def test_each_seat_may_have_an_optimizer_of_its_own():
    objective, params = setting(THREE_PLAYERS)
    models = models_of(objective, 0)

    def tables(optimizer):
        learner = OpponentModelling(
            Naive(), models, num_steps=2, optimizer=optimizer
        )
        return fitted(learner, objective, params, 0, 2)[-1]

    both = tables([None, SGD(0.9), Adam()])
    assert_tables(both[:2], tables(SGD(0.9))[:2])
    np.testing.assert_array_equal(both[2], tables(None)[2])
    assert np.any(both[2] != tables(SGD(0.9))[2])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"learning_rate": "fast"},
            TypeError,
            "`learning_rate` must be a number or a schedule.*Received: 'fast'",
        ),
        (
            {"learning_rate": [None, None]},
            TypeError,
            r"`learning_rate\[1\]` must be a number or a schedule.*None",
        ),
        (
            {"learning_rate": [None, -0.1]},
            ValueError,
            r"`learning_rate\[1\]` must be finite and at least 0",
        ),
        (
            {"learning_rate": [0.1]},
            ValueError,
            "`learning_rate` must have one entry for each of 2 players",
        ),
        (
            {"optimizer": keras.optimizers.Adam()},
            TypeError,
            "`optimizer` must be a dice_tf.inner_optimizers.InnerOptimizer",
        ),
        (
            {"optimizer": [None, "adam"]},
            TypeError,
            r"`optimizer\[1\]` must be a dice_tf.inner_optimizers",
        ),
        (
            {"optimizer": [None, Adam(), None]},
            ValueError,
            "`optimizer` must have one entry for each of 2 players",
        ),
    ],
)
def test_rules_that_do_not_fit_are_refused(arguments, error, message):
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    models = [None, dice_tf.policies.tabular(game, 1)]
    with pytest.raises(error, match=message):
        OpponentModelling(Naive(), models, **arguments)
