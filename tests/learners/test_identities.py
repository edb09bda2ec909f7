"""What learners reduce to in degenerate cases."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf import learners
from dice_tf.objectives import DiCEObjective, SurrogateObjective
from tests.learners import settings
from tests.toys import ASYMMETRIC, random_params, tabular_policies

SEED = (3, 4)
EVERY = {
    "naive": learners.Naive,
    "look_ahead": learners.LookAhead,
    "lola": learners.LOLA,
    "lola_full_gradient": learners.LOLAFullGradient,
    "lola_dice": functools.partial(learners.LOLADiCE, 2),
    "sos": learners.SOS,
    "hola": functools.partial(learners.HOLA, 2),
    "consensus": learners.Consensus,
    "symplectic": learners.SymplecticGradientAdjustment,
    "competitive": learners.CompetitiveGradientDescent,
    "locally_stable": learners.LocalSymplecticSurgery,
    "extragradient": learners.Extragradient,
}
NOT_ASCENT = ("consensus", "extragradient")
LOOK_AHEADS = ("look_ahead", "lola", "lola_full_gradient", "sos")


def sampled_setting(kind=DiCEObjective):
    setting = settings.Setting()
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
    setting.objective = kind(game, tabular_policies(game), 0.9, 8)
    setting.params = random_params(setting.objective.policies, 0)
    return setting


@functools.cache
def setting_of(name):
    if name == "sampled_2":
        return sampled_setting()
    return settings.make(name)


def every_direction(learner, setting):
    return [
        setting.direction(learner, i, SEED) for i in range(len(setting.params))
    ]


def assert_same(one, other, setting):
    for found, expected in zip(
        every_direction(one, setting),
        every_direction(other, setting),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


SETTINGS = pytest.mark.parametrize(
    "name", ["quadratic_2", "quadratic_3", "matrix_2", "sampled_2"]
)


@SETTINGS
def test_sos_with_p_0_is_look_ahead_and_with_p_1_is_lola(name):
    setting = setting_of(name)
    assert_same(learners.SOS(0.6, p=0.0), learners.LookAhead(0.6), setting)
    assert_same(
        learners.SOS(0.6, p=1.0), learners.LOLAFullGradient(0.6), setting
    )


@SETTINGS
def test_hola_of_order_1_is_the_unrolled_look_ahead(name):
    setting = setting_of(name)
    assert_same(learners.HOLA(1, 0.6), learners.LOLADiCE(1, 0.6), setting)
    assert_same(learners.HOLA(0, 0.6), learners.Naive(), setting)


@SETTINGS
@pytest.mark.parametrize("kind", [*LOOK_AHEADS, "competitive"])
def test_with_a_rate_of_0_it_is_naive(kind, name):
    setting = setting_of(name)
    learner = EVERY[kind](inner_learning_rate=0.0)
    for found, expected in zip(
        every_direction(learner, setting),
        every_direction(learners.Naive(), setting),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@SETTINGS
@pytest.mark.parametrize("kind", ["consensus", "symplectic"])
def test_with_a_weight_of_0_it_is_naive(kind, name):
    assert_same(EVERY[kind](weight=0.0), learners.Naive(), setting_of(name))


@pytest.mark.parametrize("kind", sorted(set(EVERY) - set(NOT_ASCENT)))
def test_a_single_player_ascends_its_gradient(kind):
    setting = setting_of("quadratic_1")
    found = setting.direction(EVERY[kind](), 0)
    np.testing.assert_allclose(found, setting.at.g, rtol=1e-13, atol=1e-13)


def test_a_single_player_with_a_linear_value_ascends_its_gradient():
    objective = dice_tf.objectives.FunctionObjective(
        [lambda params: 3.0 * params[0][0]]
    )
    for kind in set(EVERY) - {"consensus"}:
        (found,) = EVERY[kind]().gradient(objective, [[2.0]], 0)
        assert float(found) == 3.0, kind


def test_a_single_player_of_consensus_also_descends_its_gradients_size():
    setting = setting_of("quadratic_1")
    g, J = setting.at.g, setting.at.J
    found = setting.direction(learners.Consensus(0.3), 0)
    np.testing.assert_allclose(found, g - 0.3 * J @ g, rtol=1e-12)


def test_a_single_player_of_extragradient_takes_the_gradient_ahead():
    setting = setting_of("quadratic_1")
    g, J = setting.at.g, setting.at.J
    found = setting.direction(learners.Extragradient(0.3), 0)
    np.testing.assert_allclose(found, g + J @ (0.3 * g), rtol=1e-12)


@pytest.mark.parametrize("kind", sorted(EVERY))
def test_swapping_the_seats_swaps_the_directions(kind):
    setting = setting_of("quadratic_2")
    values = setting.objective.value_functions
    swapped = settings.Setting()
    swapped.objective = dice_tf.objectives.FunctionObjective(
        [lambda params, f=f: f([params[1], params[0]]) for f in values[::-1]]
    )
    swapped.params = setting.params[::-1]
    for i in range(2):
        found = swapped.direction(EVERY[kind](), 1 - i)
        expected = setting.direction(EVERY[kind](), i)
        np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("kind", sorted(EVERY))
def test_an_opponent_without_parameters_changes_nothing(kind):
    """It is as if the player were alone, and has no direction itself."""
    setting = setting_of("quadratic_1")
    (value,) = setting.objective.value_functions
    beside = settings.Setting()
    beside.objective = dice_tf.objectives.FunctionObjective(
        [lambda params: -value(params[1:]), lambda params: value(params[1:])]
    )
    beside.params = [[], *setting.params]
    np.testing.assert_array_equal(
        beside.direction(EVERY[kind](), 1), setting.direction(EVERY[kind](), 0)
    )
    assert EVERY[kind]().gradient(beside.objective, beside.params, 0) == []


@pytest.mark.parametrize("kind", LOOK_AHEADS)
def test_the_surrogate_objective_leaves_nothing_but_the_naive_part(kind):
    """Its second derivatives between players are 0."""
    setting = sampled_setting(SurrogateObjective)
    found = setting.direction(EVERY[kind](), 0, SEED)
    expected = setting.direction(learners.Naive(), 0, SEED)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("player_id", [0, 1])
def test_on_the_surrogate_objective_hola_does_not_shape(player_id):
    setting = sampled_setting(SurrogateObjective)
    found = setting.direction(learners.HOLA(1, 0.6), player_id, SEED)
    constant = learners.LOLADiCE(1, 0.6, num_differentiated=0)
    expected = setting.direction(constant, player_id, SEED)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", sorted(EVERY))
def test_a_step_keeps_the_state_and_the_dtype(kind):
    setting = sampled_setting()
    params = [
        [tf.constant(x) for x in player_params]
        for player_params in setting.params
    ]
    learner = EVERY[kind]()
    assert learner.init(params) == ()
    direction, state = learner.step(
        setting.objective, params, 1, tf.constant(SEED), ()
    )
    assert state == () and direction[0].dtype == tf.float64
