"""Every learner against its definition, computed in NumPy."""

import functools

import numpy as np
import pytest

from dice_tf import learners
from tests.learners import oracles, settings

RATES = (0.4, 0.7, 1.1)
# Each player's rate, so that taking the wrong one shows.
CASES = {
    "naive": (
        learners.Naive,
        lambda at, i, rates: oracles.naive(at, i),
    ),
    "look_ahead": (learners.LookAhead, oracles.look_ahead),
    "lola": (learners.LOLA, oracles.lola),
    "lola_full_gradient": (
        learners.LOLAFullGradient,
        oracles.lola_full_gradient,
    ),
    "sos": (learners.SOS, oracles.sos),
    "consensus": (
        functools.partial(learners.Consensus, 0.3),
        lambda at, i, rates: oracles.consensus(at, i, 0.3),
    ),
    "symplectic": (
        functools.partial(learners.SymplecticGradientAdjustment, 0.6, 0.2),
        lambda at, i, rates: oracles.symplectic(at, i, 0.6, 0.2),
    ),
    "competitive": (learners.CompetitiveGradientDescent, oracles.competitive),
    "locally_stable": (
        functools.partial(learners.LocalSymplecticSurgery, 0.1),
        # Logits of three actions are one too many: J is singular.
        lambda at, i, rates: oracles.local_symplectic_surgery(
            at, i, 0.1, singular=len(at.g) == 65
        ),
    ),
}
TAKE_RATES = ("look_ahead", "lola", "lola_full_gradient", "sos", "competitive")


@functools.cache
def setting_of(name):
    return settings.make(name)


@pytest.mark.parametrize(
    "game, player_id",
    [("quadratic_2", 0), ("quadratic_2", 1), ("quadratic_3", 1)]
    + [("matrix_2", 0), ("matrix_2", 1), ("matrix_3", 2)],
)
@pytest.mark.parametrize("name", CASES)
def test_the_direction_is_that_of_the_definition(name, game, player_id):
    setting = setting_of(game)
    rates = RATES[: len(setting.params)]
    make, oracle = CASES[name]
    learner = make(rates) if name in TAKE_RATES else make()
    found = setting.direction(learner, player_id)
    expected = oracle(setting.at, player_id, rates)
    # Second derivatives of the oracle of matrix games are by differences.
    tolerance = 1e-11 if game.startswith("quadratic") else 1e-6
    np.testing.assert_allclose(found, expected, atol=tolerance, rtol=tolerance)
    if name != "naive":
        plain = oracles.naive(setting.at, player_id)
        assert np.linalg.norm(found - plain) > 1e-3 * np.linalg.norm(plain)


@pytest.mark.parametrize("game", ["quadratic_2", "quadratic_3", "matrix_2"])
def test_extragradient_is_the_gradient_of_a_step_ahead(game):
    setting = setting_of(game)
    rates = RATES[: len(setting.params)]
    moved = [
        [
            x + rate * gradient
            for x, gradient in zip(
                player_params,
                learners.Naive().gradient(setting.objective, setting.params, i),
                strict=True,
            )
        ]
        for i, (player_params, rate) in enumerate(
            zip(setting.params, rates, strict=True)
        )
    ]
    for i in range(len(setting.params)):
        found = setting.direction(learners.Extragradient(rates), i)
        expected = learners.Naive().gradient(setting.objective, moved, i)
        np.testing.assert_allclose(found, settings.vector(expected), rtol=1e-12)
    if game.startswith("quadratic"):
        # g is affine: g(theta + a g) = g + J (a g).
        at = setting.at
        scaled = np.concatenate(
            [rate * at.G[i][i] for i, rate in enumerate(rates)]
        )
        np.testing.assert_allclose(
            setting.direction(learners.Extragradient(rates), 0),
            at.part(at.g + at.J @ scaled, 0),
            rtol=1e-11,
        )


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "game, player_id",
    [("quadratic_2", 0), ("quadratic_2", 1), ("quadratic_3", 1)],
)
def test_hola_of_any_order_has_its_closed_form(game, player_id, order):
    setting = setting_of(game)
    rates = tuple(0.3 * rate for rate in RATES[: len(setting.params)])
    found = setting.direction(learners.HOLA(order, rates), player_id)
    expected = setting.oracle.hola(setting.theta, player_id, order, rates)
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    if order:
        lower = setting.oracle.hola(setting.theta, player_id, order - 1, rates)
        assert np.linalg.norm(found - lower) > 1e-3 * np.linalg.norm(lower)


@pytest.mark.parametrize("player_id", [0, 1])
def test_hola_of_order_2_is_a_total_derivative_in_a_matrix_game(player_id):
    """Of V_i where the opponent's own look-ahead leads, by differences."""
    setting, rate, step = setting_of("matrix_2"), 0.5, 1e-4
    opponent = 1 - player_id
    shaping = learners.LOLADiCE(1, rate)

    def value(x):
        params = list(setting.params)
        params[player_id] = [x]
        (move,) = shaping.gradient(setting.objective, params, opponent)
        params[opponent] = [params[opponent][0] + rate * move.numpy()]
        return float(setting.objective(params)[player_id])

    at = setting.params[player_id][0]
    expected = np.zeros_like(at)
    for index in np.ndindex(*at.shape):
        shift = np.zeros_like(at)
        shift[index] = step
        expected[index] = (value(at + shift) - value(at - shift)) / (2 * step)
    found = setting.direction(learners.HOLA(2, rate), player_id)
    np.testing.assert_allclose(found, expected.ravel(), atol=1e-6)
