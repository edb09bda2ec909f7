"""The ultimatum game against its closed form, and where learners go in it."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners import LOLA, Naive
from tests.learners import oracles

OBJECTIVE = dice_tf.objectives.ultimatum()


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def at(a, b):
    return [[tf.constant([a], tf.float64)], [tf.constant([b], tf.float64)]]


def closed_form(a, b):
    """Values, gradients G[i][j] = dV_i / dtheta_j, and second derivatives."""
    p, q = sigmoid(a), sigmoid(b)
    slopes = p * (1 - p), q * (1 - q)
    curves = slopes[0] * (1 - 2 * p), slopes[1] * (1 - 2 * q)
    values, G, H = [], [], []
    # V = 5 p + c (1 - p) q.
    for c in (8.0, 2.0):
        values.append(5 * p + c * (1 - p) * q)
        G.append(
            [
                np.array([slopes[0] * (5 - c * q)]),
                np.array([slopes[1] * c * (1 - p)]),
            ]
        )
        mixed = np.array([[-c * slopes[0] * slopes[1]]])
        H.append(
            [
                [np.array([[curves[0] * (5 - c * q)]]), mixed],
                [mixed, np.array([[curves[1] * c * (1 - p)]])],
            ]
        )
    return values, oracles.Derivatives(G, H)


@pytest.mark.parametrize(("a", "b"), [(0.3, -0.7), (-1.2, 2.0), (0.0, 0.0)])
def test_values_and_derivatives_are_those_of_the_closed_form(a, b):
    values, derivatives = closed_form(a, b)
    params = at(a, b)
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(params)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(params)
            found = OBJECTIVE(params)
        gradients = [
            [tape.gradient(found[i], params[j][0]) for j in range(2)]
            for i in range(2)
        ]
    np.testing.assert_allclose(found, values, rtol=1e-12)
    for i in range(2):
        for j in range(2):
            np.testing.assert_allclose(
                gradients[i][j], derivatives.G[i][j], rtol=1e-12
            )
            for k in range(2):
                second = outer.gradient(gradients[i][j], params[k][0])
                np.testing.assert_allclose(
                    second, derivatives.H[i][j][k][0], atol=1e-12
                )


def ends(learners, steps=300):
    """The values after some steps of ascent."""
    params = at(0.0, 0.0)

    @tf.function(autograph=False)
    def step(params):
        return [
            [x + 0.3 * direction[0] for x in player_params]
            for player_params, direction in (
                (params[i], learner.gradient(OBJECTIVE, params, i))
                for i, learner in enumerate(learners)
            )
        ]

    for _ in range(steps):
        params = step(params)
    return [float(value) for value in OBJECTIVE(params)]


def test_who_shapes_is_offered_a_fair_share():
    """Player 1 threatens to reject: naive ones accept everything."""
    assert ends([Naive(), Naive()]) == pytest.approx([8.0, 2.0], abs=0.3)
    assert ends([Naive(), LOLA(4.0)]) == pytest.approx([5.0, 5.0], abs=0.3)


def test_numbers_without_an_axis_are_taken():
    scalars = [[tf.constant(0.3)], [tf.constant(-0.7)]]
    values, _ = closed_form(0.3, -0.7)
    np.testing.assert_allclose(OBJECTIVE(scalars), values, rtol=1e-6)
