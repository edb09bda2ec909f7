"""Means over states: sampled ones are those of the closed form."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from tests.toys import (
    ASYMMETRIC,
    Plain,
    exact_objective,
    random_params,
)


def measured(objective, params, seed):
    """Entropies, divergences and gradients of both, in one row."""
    others = [
        [0.5 * x + 0.2 for x in player_params] for player_params in params
    ]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((params, others))
        entropies = objective.play(params, seed).entropies
        divergences = objective.divergences(params, others, seed)
    gradients = [
        (
            tape.gradient(entropies[i], params[i]),
            tape.gradient(divergences[i], (params[i], others[i])),
        )
        for i in range(2)
    ]
    rows = tf.nest.flatten([entropies, divergences, gradients])
    return tf.concat([tf.reshape(x, [-1]) for x in rows], axis=0)


@pytest.mark.parametrize(
    ("length", "discount", "wrap"), [(150, 0.96, None), (8, 0.6, Plain)]
)
def test_sampled_means_estimate_those_of_the_closed_form(
    length, discount, wrap
):
    exact = exact_objective(ASYMMETRIC, discount, length)
    game = exact.game if wrap is None else wrap(exact.game)
    sampled = dice_tf.objectives.DiCEObjective(
        game, exact.policies, discount, batch_size=100
    )
    # Sure enough of themselves that the first steps are unlike the later.
    params = [
        [tf.constant(x) for x in player_params]
        for player_params in random_params(exact.policies, 0, scale=2.5)
    ]
    draw = tf.function(lambda seed: measured(sampled, params, seed))
    found = np.array([draw(tf.constant([seed, 1])) for seed in range(12)])
    errors = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    expected = measured(exact, params, None).numpy()
    # Of twelve samples: the bound of Student's t, among some forty numbers.
    assert np.all(np.abs(found.mean(axis=0) - expected) < 6 * errors + 1e-12)
    # Visits that all count the same give something else.
    undiscounted = exact_objective(ASYMMETRIC, 1.0, length)
    plain = np.array(undiscounted.play(params, None).entropies)
    assert np.any(np.abs(plain - expected[:2]) > 12 * errors[:2])


def test_at_discount_0_only_the_first_step_is_visited():
    exact = exact_objective(ASYMMETRIC, 0.0, 3)
    params = [
        [tf.constant(x) for x in player_params]
        for player_params in random_params(exact.policies, 0)
    ]
    for game in (exact.game, Plain(exact.game)):
        sampled = dice_tf.objectives.DiCEObjective(game, exact.policies, 0.0, 4)
        np.testing.assert_allclose(
            measured(sampled, params, [1, 2]),
            measured(exact, params, None),
            atol=1e-12,
        )
