"""Parts of the game-optimisation baselines that closed forms do not reach."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf import learners
from dice_tf.learners.jacobians import (
    flatten,
    game_jacobian,
    jacobian_products,
    unflatten,
)
from dice_tf.learners.local_symplectic_surgery import without_rotation
from tests.learners import oracles, settings


@pytest.mark.parametrize("sizes", [(2, 3), (2, 3, 1)])
def test_the_jacobian_and_its_products_are_those_of_the_gradients(sizes):
    setting = settings.QuadraticSetting(sizes)
    players = list(range(len(sizes)))
    rng = np.random.default_rng(8)
    stacked = rng.normal(size=sum(sizes))
    vectors = unflatten(tf.constant(stacked), setting.params, players)
    found = game_jacobian(setting.objective, setting.params, players, None)
    np.testing.assert_allclose(found, setting.at.J, rtol=1e-12)
    products = jacobian_products(
        setting.objective, setting.params, players, None, vectors
    )
    for part, expected in zip(
        products,
        (setting.at.g, setting.at.J @ stacked, setting.at.J.T @ stacked),
        strict=True,
    ):
        np.testing.assert_allclose(flatten(part, players), expected, rtol=1e-11)
    np.testing.assert_array_equal(flatten(vectors, players), stacked)


@pytest.mark.parametrize("epsilon", [0.0, 1e9])
def test_the_adjustment_turns_with_the_alignment(epsilon):
    """Over several games both signs occur; a large epsilon keeps one."""
    signs = set()
    for seed in range(6):
        setting = settings.QuadraticSetting((2, 2), seed)
        learner = learners.SymplecticGradientAdjustment(1.0, epsilon)
        found = setting.direction(learner, 0)
        np.testing.assert_allclose(
            found, oracles.symplectic(setting.at, 0, 1.0, epsilon), rtol=1e-9
        )
        antisymmetric = (setting.at.J - setting.at.J.T) / 2
        adjustment = setting.at.part(antisymmetric.T @ setting.at.g, 0)
        signs.add(np.sign((setting.at.g[:2] - found) @ adjustment))
    assert signs == ({-1.0, 1.0} if epsilon == 0.0 else {1.0})


@pytest.mark.parametrize("dtype, scale", [("float64", 1.0), ("float32", 1e-3)])
def test_a_singular_jacobian_is_regularised(dtype, scale):
    rng = np.random.default_rng(0)
    J = (rng.normal(size=(4, 4)) * scale).astype(dtype)
    g = rng.normal(size=4).astype(dtype)
    expected = (g + J.T @ np.linalg.solve(J.astype("float64"), g)) / 2
    tolerance = 1e-11 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(
        without_rotation(tf.constant(g), tf.constant(J), 0.1),
        expected,
        rtol=tolerance,
    )
    J[3] = J[0] + J[1]
    wide = J.astype("float64")
    normal = wide.T @ wide + 0.1 * np.eye(4)
    expected = (g + wide.T @ np.linalg.solve(normal, wide.T @ g)) / 2
    np.testing.assert_allclose(
        without_rotation(tf.constant(g), tf.constant(J), 0.1),
        expected,
        rtol=tolerance,
    )


def test_competitive_descent_is_the_equilibrium_of_the_local_game():
    """No player gains by another move against the others' moves."""
    setting, rates = settings.QuadraticSetting((2, 3, 1)), (0.4, 0.7, 1.1)
    at, learner = setting.at, learners.CompetitiveGradientDescent(rates)
    moves = [
        rate * setting.direction(learner, i) for i, rate in enumerate(rates)
    ]
    for i, rate in enumerate(rates):
        # d/dx_i [<g_i, x_i> + sum <x_i, J_ij x_j> - |x_i|^2 / (2 a_i)] = 0.
        slope = at.G[i][i] + sum(at.H[i][i][j] @ moves[j] for j in at.others(i))
        np.testing.assert_allclose(slope, moves[i] / rate, rtol=1e-10)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: learners.Consensus(-1.0), "`weight` must be finite and at l"),
        (
            lambda: learners.SymplecticGradientAdjustment(-1.0),
            "`weight` must be finite and at least 0",
        ),
        (
            lambda: learners.SymplecticGradientAdjustment(1.0, -0.1),
            "`epsilon` must be finite and at least 0",
        ),
        (
            lambda: learners.LocalSymplecticSurgery(-0.1),
            "`regularization` must be finite and at least 0",
        ),
        (
            lambda: learners.LocalSymplecticSurgery(0),
            "`regularization` must be positive. Received: 0.",
        ),
        (lambda: learners.HOLA(-1), "`order` must be at least 0"),
    ],
)
def test_arguments_out_of_their_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_order_that_is_no_whole_number_is_refused():
    with pytest.raises(TypeError, match="`order` must be a whole number"):
        learners.HOLA(1.5)
