"""The Taylor terms: what flows through each, and what is held constant."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from dice_tf import learners
from dice_tf.learners.taylor import taylor_terms
from dice_tf.objectives import FunctionObjective
from tests.learners import oracles, settings

RATES = (0.4, 0.7, 1.1)


@functools.cache
def setting_of(name):
    return settings.make(name)


def terms_of(setting, players):
    rates = RATES[: len(setting.params)]
    return taylor_terms(setting.objective, setting.params, players, None, rates)


@pytest.mark.parametrize("name", ["quadratic_2", "quadratic_3"])
def test_each_term_is_its_closed_form(name):
    """Either term is wrong if its other factor is not held constant."""
    setting = setting_of(name)
    players = list(range(len(setting.params)))
    rates = RATES[: len(players)]
    terms, gradients = terms_of(setting, players)
    for i in players:
        for found, expected in [
            (gradients[i], setting.at.G[i][i]),
            (terms[i].naive, oracles.naive(setting.at, i)),
            (
                terms[i].look_ahead,
                oracles.look_ahead_term(setting.at, i, rates),
            ),
            (terms[i].shaping, oracles.shaping_term(setting.at, i, rates)),
        ]:
            np.testing.assert_allclose(
                settings.vector(found), expected, rtol=1e-11
            )


def test_terms_of_one_player_are_those_among_all():
    setting = setting_of("quadratic_3")
    among_all, _ = terms_of(setting, [0, 1, 2])
    alone, _ = terms_of(setting, [1])
    tf.nest.map_structure(np.testing.assert_array_equal, alone[1], among_all[1])


def test_lola_as_published_holds_the_value_gradient_constant():
    """V_0 = x^2 y, V_1 = x y^2 by hand, with b the opponent's rate.

    dV_0/dx = 2 x y, dV_0/dy = x^2, dV_1/dy = 2 x y, d^2 V_1/dx dy = 2 y and
    d^2 V_0/dx dy = 2 x: the shaping term is b 2 y x^2, the look-ahead term
    b 2 x 2 x y.
    """
    x, y, b = 1.5, -0.7, 0.2

    def values(params):
        x, y = params[0][0], params[1][0]
        return x**2 * y, x * y**2

    setting = settings.Setting()
    setting.objective = objective_of(values)
    setting.params = [
        [tf.constant(x, tf.float64)],
        [tf.constant(y, tf.float64)],
    ]
    naive, shaping, look_ahead = 2 * x * y, 2 * b * y * x**2, 4 * b * x**2 * y
    for learner, expected in [
        (learners.LOLA(b), naive + shaping),
        (learners.LookAhead(b), naive + look_ahead),
        (learners.LOLAFullGradient(b), naive + shaping + look_ahead),
    ]:
        found = setting.direction(learner, 0)
        np.testing.assert_allclose(found, [expected], rtol=1e-14)


def objective_of(values):
    return FunctionObjective(
        [functools.partial(lambda p, i: values(p)[i], i=i) for i in range(2)]
    )


@pytest.mark.parametrize("player_id", [0, 1])
def test_the_unrolled_look_ahead_agrees_to_first_order_in_the_rate(player_id):
    setting = setting_of("matrix_2")
    errors = []
    for rate in (1e-2, 1e-3):
        taylor = setting.direction(learners.LOLAFullGradient(rate), player_id)
        unrolled = setting.direction(learners.LOLADiCE(1, rate), player_id)
        errors.append(np.linalg.norm(taylor - unrolled))
    assert errors[1] < 0.011 * errors[0]


@pytest.mark.parametrize(
    "kind",
    [
        learners.LookAhead,
        learners.LOLA,
        learners.LOLAFullGradient,
        learners.SOS,
        learners.Extragradient,
        learners.CompetitiveGradientDescent,
        functools.partial(learners.HOLA, 1),
    ],
)
def test_rates_out_of_their_range_are_refused(kind):
    with pytest.raises(ValueError, match="`inner_learning_rate` must be fini"):
        kind(-0.1)
    with pytest.raises(TypeError, match="`inner_learning_rate` must be a num"):
        kind((0.1, "0.1"))
    setting = setting_of("quadratic_3")
    with pytest.raises(ValueError, match="or one for each of 3 players"):
        setting.direction(kind((0.1, 0.2)), 0)
