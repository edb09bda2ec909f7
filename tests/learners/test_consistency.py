"""How consistent updates are: the tandem game, and a slow definition."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf import learners
from dice_tf.learners import consistency_loss
from experiments.building.tandem import tandem_objective
from tests.learners import settings
from tests.toys import ASYMMETRIC, random_params, tabular_policies

RATES = (0.4, 0.7, 0.2)
POINTS = np.random.default_rng(0).uniform(-7.0, 7.0, [3, 2])


def update_of(learner, objective):
    """The directions of all players, who learn alike."""

    def update(params):
        return [
            learner.gradient(objective, params, i) for i in range(len(params))
        ]

    return update


def tandem_loss(update, point, rate=1.0):
    params = [[tf.constant(x, tf.float64)] for x in point]
    found = consistency_loss(
        update, tandem_objective(), params, inner_learning_rate=rate
    )
    assert found.dtype == tf.float64 and found.shape == []
    return float(found)


# --- The tandem game, by hand -----------------------------------------------


@pytest.mark.parametrize("order", [0, 1, 2, 6])
def test_in_the_tandem_game_it_is_what_was_published(order):
    """Orders 1, 2 and 6, at rate 1: 128, 512 and 131,072, at every point.

    With s = x + y, the update of order n is `c_n - 2 s` for both players. It
    moves s to `c_n - s`, so that `c_(n+1) = 2 c_n + 2`. From `c_0 = 2`, the
    differences are `c_(n+1) - c_n = 4 2^n`.
    """
    update = update_of(learners.HOLA(order, 1.0), tandem_objective())
    for point in POINTS:
        assert tandem_loss(update, point) == pytest.approx(32 * 4**order)


def test_the_total_derivative_flows_through_the_updates():
    """If the update of LOLA, `6 - 2 s`, were a constant, it would be 16 - 4 s
    that is missing."""
    objective = tandem_objective()
    lola = update_of(learners.LOLADiCE(1, 1.0), objective)

    def constant(params):
        return tf.nest.map_structure(tf.stop_gradient, lola(params))

    for point in POINTS:
        expected = 2.0 * (16.0 - 4.0 * point.sum()) ** 2
        assert tandem_loss(constant, point) == pytest.approx(expected)


@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
def test_consistent_updates_have_no_loss(rate):
    """`c - k s` is consistent if `2 a m^2 + m = 1`, with `m = 1 - a k`, and
    `c (1 + 2 a m) = 2`. There are two such updates."""
    for sign in (1.0, -1.0):
        m = (-1.0 + sign * np.sqrt(1.0 + 8.0 * rate)) / (4.0 * rate)
        slope, shift = (1.0 - m) / rate, 2.0 / (1.0 + 2.0 * rate * m)

        def update(params, shift=shift, slope=slope):
            s = params[0][0] + params[1][0]
            return [[shift - slope * s]] * 2

        for point in POINTS:
            assert tandem_loss(update, point, rate) < 1e-24
            assert tandem_loss(update, point, 2.0 * rate) > 1e-3


# --- The definition, by differences -----------------------------------------


def total_derivatives(update, setting, rates, step=1e-5):
    """`d/dtheta_i V_i(theta_i, theta_-i + a d_-i(theta))` of all players."""
    params = [[x.numpy() for x in part] for part in as_tensors(setting.params)]

    def value(i, moved):
        moved = as_tensors(moved)
        directions = update(moved)
        reached = [
            part
            if j == i
            else [
                x + rates[j] * d
                for x, d in zip(part, directions[j], strict=True)
            ]
            for j, part in enumerate(moved)
        ]
        return float(setting.objective(reached)[i])

    derivatives = []
    for i, part in enumerate(params):
        for number, x in enumerate(part):
            for index in np.ndindex(x.shape):
                ends = []
                for shift in (step, -step):
                    changed = [list(tensors) for tensors in params]
                    changed[i][number] = x.copy()
                    changed[i][number][index] += shift
                    ends.append(value(i, changed))
                derivatives.append((ends[0] - ends[1]) / (2.0 * step))
    return np.array(derivatives)


def as_tensors(params):
    return [[tf.constant(x, tf.float64) for x in part] for part in params]


@functools.cache
def setting_of(name):
    return settings.make(name)


EVERY = {
    "naive": learners.Naive(),
    "look_ahead": learners.LookAhead(0.5),
    "lola": learners.LOLA(0.5),
    "lola_full_gradient": learners.LOLAFullGradient(0.5),
    "sos": learners.SOS(0.5),
    "lola_dice": learners.LOLADiCE(2, 0.5),
    "hola": learners.HOLA(2, 0.5),
    "consensus": learners.Consensus(0.5),
    "symplectic": learners.SymplecticGradientAdjustment(0.5),
    "competitive": learners.CompetitiveGradientDescent(0.5),
    "locally_stable": learners.LocalSymplecticSurgery(0.1),
    "extragradient": learners.Extragradient(0.5),
    "mixture": learners.Mixture(
        [(0.3, learners.LOLA(0.5)), (0.7, learners.Naive())]
    ),
}


@pytest.mark.parametrize(
    "name, game",
    [*((name, "quadratic_2") for name in EVERY), ("lola", "quadratic_3")]
    + [("sos", "matrix_2")],
)
def test_it_is_that_of_the_definition_for_every_learner(name, game):
    """Also for those whose definition holds a factor constant: to whoever
    shapes them, the factor changes."""
    setting = setting_of(game)
    rates = RATES[: len(setting.params)]
    update = update_of(EVERY[name], setting.objective)
    params = as_tensors(setting.params)
    expected = total_derivatives(update, setting, rates)
    directions = update(params)
    weights = np.concatenate(
        [
            np.full(settings.vector(part).shape, rate)
            for part, rate in zip(params, rates, strict=True)
        ]
    )
    flat = np.concatenate([settings.vector(part) for part in directions])
    expected = np.sum((weights * (flat - expected)) ** 2)
    found = consistency_loss(
        update, setting.objective, setting.params, inner_learning_rate=rates
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)


def test_a_player_alone_should_follow_its_gradient():
    setting = setting_of("quadratic_1")
    naive = update_of(learners.Naive(), setting.objective)
    assert (
        float(consistency_loss(naive, setting.objective, setting.params)) == 0
    )

    def nothing(params):
        return [[tf.zeros_like(x) for x in part] for part in params]

    found = consistency_loss(
        nothing, setting.objective, setting.params, inner_learning_rate=0.5
    )
    expected = 0.25 * np.sum(setting.at.g**2)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_players_without_parameters_make_no_moves():
    setting = setting_of("quadratic_1")
    (value,) = setting.objective.value_functions
    objective = dice_tf.objectives.FunctionObjective(
        [lambda params: -value(params[1:]), lambda params: value(params[1:])]
    )
    params = [[], *setting.params]
    naive = update_of(learners.Naive(), objective)
    assert float(consistency_loss(naive, objective, params)) == 0.0
    nobody = [[], []]
    assert float(consistency_loss(lambda known: known, objective, nobody)) == 0


def test_it_is_differentiable_in_the_update():
    shift = tf.constant(1.5, tf.float64)
    params = [[tf.constant(x, tf.float64)] for x in POINTS[0]]
    with tf.GradientTape() as tape:
        tape.watch(shift)
        loss = consistency_loss(
            lambda known: [[shift - 0.5 * (known[0][0] + known[1][0])]] * 2,
            tandem_objective(),
            params,
        )
    # With m = 1/2, the residual of each is c (1 + 2 m) - 2.
    np.testing.assert_allclose(loss, 2.0, rtol=1e-12)
    np.testing.assert_allclose(tape.gradient(loss, shift), 8.0, rtol=1e-12)


# --- Errors -----------------------------------------------------------------


@pytest.mark.parametrize(
    "update, error, message",
    [
        (None, TypeError, "`update` must be a function of all players' param"),
        (lambda: [], TypeError, "`update` must be a function of all players'"),
        (lambda params: None, TypeError, r"`update\(params\)` must be a list"),
        (
            lambda params: [[None], [None]],
            ValueError,
            r"`update\(params\)\[0\]\[0\]` must be a tensor",
        ),
        (lambda params: [[1.0]], ValueError, r"`update\(params\)` must have o"),
        (
            lambda params: [params[0], [tf.zeros([3])]],
            ValueError,
            r"`update\(params\)\[1\]` must hold tensors of the shapes of the p",
        ),
        (
            lambda params: [params[0], [tf.cast(params[1][0], tf.float16)]],
            ValueError,
            r"`update\(params\)\[1\]` must hold tensors of the dtypes of the p",
        ),
    ],
)
def test_what_is_no_update_is_refused(update, error, message):
    with pytest.raises(error, match=message):
        tandem_loss(update, (0.0, 0.0))


def test_rates_that_are_none_are_refused():
    naive = update_of(learners.Naive(), tandem_objective())
    with pytest.raises(TypeError, match="`inner_learning_rate` must be a numb"):
        tandem_loss(naive, (0.0, 0.0), "x")
    with pytest.raises(ValueError, match="or one for each of 2 players"):
        tandem_loss(naive, (0.0, 0.0), (1.0, 1.0, 1.0))


def test_sampled_values_are_refused():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 2)
    policies = tabular_policies(game)
    objective = dice_tf.objectives.DiCEObjective(game, policies, 0.9, 4)
    update = update_of(learners.Naive(), objective)
    message = "The consistency loss needs values in closed form"
    with pytest.raises(ValueError, match=message):
        consistency_loss(update, objective, random_params(policies, 0))
