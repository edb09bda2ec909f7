"""The exact objective."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.objectives import ExactObjective
from tests import oracles
from tests.toys import (
    ASYMMETRIC,
    THREE_PLAYERS,
    Plain,
    exact_objective,
    random_params,
    swap_seats,
    tabular_policies,
)

GAMES = {"2": ASYMMETRIC, "3": THREE_PLAYERS}


def thetas(objective, seed=0):
    return [
        player_params[0]
        for player_params in random_params(objective.policies, seed)
    ]


@pytest.mark.parametrize("discount, length", [(0.9, 5), (1.0, 4), (0.8, None)])
@pytest.mark.parametrize("name", GAMES)
def test_values_are_those_of_the_policies_in_their_seats(
    name, discount, length
):
    objective = exact_objective(GAMES[name], discount, length)
    parameters = thetas(objective)
    expected = oracles.values(GAMES[name], parameters, discount, length or 180)
    values = objective([[tf.constant(theta)] for theta in parameters])
    assert [value.shape for value in values] == [()] * len(parameters)
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_the_horizon_is_that_of_the_game_unless_said_otherwise():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 7, dtype="float64")
    policies = tabular_policies(game)
    parameters = thetas(exact_objective(ASYMMETRIC, 0.9, 7))
    params = [[tf.constant(theta)] for theta in parameters]
    for arguments, length in (((), 7), ((3,), 3), ((None,), 400)):
        found = ExactObjective(game, policies, 0.9, *arguments)(params)
        np.testing.assert_allclose(
            found,
            oracles.values(ASYMMETRIC, parameters, 0.9, length),
            rtol=1e-12,
        )


@pytest.mark.parametrize("name, order", [("2", (1, 0)), ("3", (1, 2, 0))])
def test_moving_every_player_to_another_seat_moves_the_results(name, order):
    """Seats turn in a circle, as players count them from their own."""
    payoffs = GAMES[name]
    objective = exact_objective(payoffs, 0.9, 5)
    moved = exact_objective(swap_seats(payoffs, order), 0.9, 5)
    parameters = [tf.constant(theta) for theta in thetas(objective)]
    seated = [parameters[player_id] for player_id in order]
    results = []
    for game, params in ((objective, parameters), (moved, seated)):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(params)
            values = game([[param] for param in params])
        gradients = [
            [tape.gradient(value, param) for param in params]
            for value in values
        ]
        results.append((values, gradients))
    (values, gradients), (moved_values, moved_gradients) = results
    for i, first in enumerate(order):
        np.testing.assert_allclose(moved_values[i], values[first], rtol=1e-12)
        for j, second in enumerate(order):
            np.testing.assert_allclose(
                moved_gradients[i][j], gradients[first][second], atol=1e-13
            )


def test_entropies_are_means_over_the_states_visited():
    objective = exact_objective(ASYMMETRIC, 0.9, 5)
    parameters = thetas(objective)
    play = objective.play([[tf.constant(theta)] for theta in parameters], None)
    distributions = oracles.state_distributions(parameters, (2, 2), 5)
    weights = 0.9 ** np.arange(5)
    visits = weights @ distributions / weights.sum()
    joints = [*oracles.joint_actions((2, 2)), None]
    for i, theta in enumerate(parameters):
        pi = oracles.policy(theta)
        rows = [oracles.observation(joint, i, (2, 2)) for joint in joints]
        entropy = -np.sum(pi * np.log(pi), axis=1)[rows]
        np.testing.assert_allclose(play.entropies[i], visits @ entropy)
    np.testing.assert_allclose(
        play.values, oracles.values(ASYMMETRIC, parameters, 0.9, 5), rtol=1e-12
    )


def test_the_gradient_of_an_entropy_holds_the_visits_constant():
    objective = exact_objective(ASYMMETRIC, 0.9, 5)
    parameters = [tf.constant(theta) for theta in thetas(objective)]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(parameters)
        play = objective.play([[theta] for theta in parameters], None)
    distributions = oracles.state_distributions(parameters, (2, 2), 5)
    weights = 0.9 ** np.arange(5)
    visits = weights @ distributions / weights.sum()
    joints = [*oracles.joint_actions((2, 2)), None]
    rows = [oracles.observation(joint, 1, (2, 2)) for joint in joints]
    # dH/dtheta of a coin of log-odds theta: -theta p (1 - p).
    pi = oracles.policy(parameters[1])
    slopes = -parameters[1].numpy()[:, 0] * pi[:, 0] * pi[:, 1]
    expected = np.zeros(5)
    expected[rows] = visits * slopes[rows]
    found = tape.gradient(play.entropies[1], parameters[1])
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-13)
    assert tape.gradient(play.entropies[1], parameters[0]) is None


def test_fixed_policies_have_no_parameters():
    game = dice_tf.games.iterated_prisoners_dilemma(10, dtype="float64")
    policies = [
        dice_tf.policies.tit_for_tat(game, 0),
        dice_tf.policies.always_defect(game, 1),
    ]
    objective = ExactObjective(game, policies, 0.5)
    assert objective.initial_params() == [[], []]
    # Exploited once, then mutual defection.
    rest = sum(0.5**t * -2 for t in range(1, 10))
    np.testing.assert_allclose(objective([[], []]), [-3 + rest, rest])


def test_a_game_without_tables_is_refused():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 5)
    with pytest.raises(TypeError, match="`game` must be a dice_tf.games.Finit"):
        ExactObjective(Plain(game), tabular_policies(game), 0.9)


def test_an_infinite_horizon_needs_a_discount_below_1():
    with pytest.raises(ValueError, match="`discount` must be below 1 with an"):
        exact_objective(ASYMMETRIC, 1.0, None)


@pytest.mark.parametrize("length", [0, 2.5])
def test_the_horizon_must_be_a_positive_whole_number(length):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 5)
    with pytest.raises((TypeError, ValueError), match="`episode_length` must"):
        ExactObjective(game, tabular_policies(game), 0.9, length)
