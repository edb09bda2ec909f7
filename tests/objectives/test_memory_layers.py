"""Policies that evaluate sequences at once, in sampled objectives."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners import LOLADiCE, Naive
from dice_tf.objectives import DiCEObjective
from tests import recurrent
from tests.objectives.test_recurrent import Enumerated
from tests.toys import random_params

pytestmark = pytest.mark.own_process

DISCOUNT, RATE = recurrent.DISCOUNT, 2.0


def random_policies(build, game, **options):
    policies = [build(game, player_id, **options) for player_id in range(2)]
    drawn = random_params(policies, 3)
    for policy, params in zip(policies, drawn, strict=True):
        policy.set_weights(params)
    return policies


@pytest.fixture(scope="module")
def enumerated():
    game = recurrent.small_game()
    policies = random_policies(dice_tf.policies.min_gru, game, units=2)
    return Enumerated(game, policies, DISCOUNT, 16, None)


def value(params, player_id):
    return recurrent.value(
        params, player_id, log_odds_of=recurrent.min_gru_log_odds
    )


@pytest.mark.parametrize("player_id", [0, 1])
def test_lola_dice_follows_differences_of_the_enumerated_look_ahead(
    enumerated, player_id
):
    """d/dtheta_i V_i(theta_i, theta_j + a dV_j/dtheta_j), under XLA."""
    opponent = 1 - player_id
    params = [
        [x.numpy() for x in player_params]
        for player_params in enumerated.initial_params()
    ]

    def seat(mine, theirs):
        return [mine, theirs] if player_id == 0 else [theirs, mine]

    def looked_ahead(mine):
        step = recurrent.gradient(
            lambda theirs: value(seat(mine, theirs), opponent),
            params[opponent],
        )
        moved = [
            x + RATE * d for x, d in zip(params[opponent], step, strict=True)
        ]
        return value(seat(mine, moved), player_id)

    @tf.function(jit_compile=True, autograph=False)
    def direction_of(learner, seed):
        return learner.gradient(enumerated, params, player_id, seed)

    direction, naive = (
        direction_of(learner, tf.constant([0, 1]))
        for learner in (LOLADiCE(1, RATE), Naive())
    )
    rng, size = np.random.default_rng(1), 1e-5
    for _ in range(3):
        along = [rng.normal(size=x.shape) for x in params[player_id]]
        ends = [
            looked_ahead(
                [
                    x + h * d
                    for x, d in zip(params[player_id], along, strict=True)
                ]
            )
            for h in (size, -size)
        ]
        slope, without = (
            sum(np.sum(x * d) for x, d in zip(found, along, strict=True))
            for found in (direction, naive)
        )
        expected = (ends[0] - ends[1]) / (2 * size)
        np.testing.assert_allclose(slope, expected, rtol=1e-7, atol=1e-9)
        assert abs(slope - without) > 1e-3


def test_runs_may_be_computed_side_by_side():
    """Policies of two kinds and critics with memory, sampled plays and all."""
    game = recurrent.small_game(3)
    units = random_policies(dice_tf.policies.min_gru, game, units=2)
    windows = random_policies(dice_tf.policies.stacked, game, hidden_units=(2,))
    objective = DiCEObjective(
        game,
        [units[0], windows[1]],
        DISCOUNT,
        batch_size=3,
        baseline="critic",
        critics=[
            dice_tf.critics.min_gru_critic(game, player_id, units=2)
            for player_id in range(2)
        ],
    )
    params = objective.initial_params()
    learner = LOLADiCE(1, RATE)

    def direction(seed):
        return learner.gradient(objective, params, 0, seed)

    seeds = tf.constant([[0, 1], [2, 3]])
    together = tf.function(
        lambda seeds: tf.vectorized_map(direction, seeds),
        jit_compile=True,
        autograph=False,
    )(seeds)
    for run, seed in enumerate(tf.unstack(seeds)):
        for found, expected in zip(together, direction(seed), strict=True):
            np.testing.assert_allclose(
                found[run], expected, rtol=1e-9, atol=1e-12
            )


def test_models_of_opponents_are_fitted_and_differentiated_under_xla():
    game = recurrent.small_game(2)
    policies = random_policies(dice_tf.policies.min_gru, game, units=2)
    objective = DiCEObjective(game, policies, DISCOUNT, 3, "leave_one_out")
    params = objective.initial_params()
    model = random_policies(dice_tf.policies.stacked, game, hidden_units=(2,))
    learner = dice_tf.opponent_models.OpponentModelling(
        LOLADiCE(1, RATE), [None, model[1]], learning_rate=0.1, num_steps=2
    )

    def move(seed):
        state = learner.init(params)
        return learner.step(objective, params, 0, seed, state)

    seed = tf.constant([0, 1])
    compiled = tf.function(move, autograph=False, jit_compile=True)
    expected, found = move(seed), compiled(seed)
    for one, other in zip(
        tf.nest.flatten(found), tf.nest.flatten(expected), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-10)
    naive = Naive().gradient(objective, params, 0, seed)
    assert np.abs(expected[0][0] - naive[0]).max() > 1e-6
