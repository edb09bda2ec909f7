"""The naive learner."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners import Naive
from tests import oracles
from tests.toys import (
    ASYMMETRIC,
    THREE_PLAYERS,
    exact_objective,
    random_params,
    tabular_policies,
)


@pytest.mark.parametrize("payoffs", [ASYMMETRIC, THREE_PLAYERS], ids=["2", "3"])
def test_each_player_ascends_its_own_exact_value(payoffs):
    objective = exact_objective(payoffs, 0.9, 4)
    params = random_params(objective.policies, 0)
    thetas = [player_params[0] for player_params in params]
    for i, theta in enumerate(thetas):
        expected = oracles.complex_step_gradient(
            lambda x, i=i: oracles.values(
                payoffs, oracles.replace(thetas, i, x), 0.9, 4
            )[i],
            theta,
        )
        (found,) = Naive().gradient(objective, params, i)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_on_a_sampled_objective_it_is_the_policy_gradient():
    """REINFORCE, centred by the other episodes, in plain NumPy."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 4, dtype="float64")
    objective = dice_tf.objectives.DiCEObjective(
        game, tabular_policies(game), 0.9, 8
    )
    params = random_params(objective.policies, 0)
    seed = tf.constant([1, 2])
    played = objective.play(params, seed).trajectory
    for i in range(2):
        weights = 0.9 ** np.arange(4)[:, np.newaxis]
        earned = weights * played.rewards[i].numpy()
        earned = earned - oracles.leave_one_out_mean(earned)
        credit = np.cumsum(earned[::-1], axis=0)[::-1]
        rows = np.argmax(played.observations[i], axis=-1)
        pi = oracles.policy(params[i][0])[rows]
        # dlog pi(a) / dtheta of a coin of log-odds theta for action 0.
        score = (played.actions[i].numpy() == 0) - pi[..., 0]
        expected = np.zeros((5, 1))
        np.add.at(expected[:, 0], rows, credit * score / 8)
        (found,) = Naive().gradient(objective, params, i, seed)
        np.testing.assert_allclose(found, expected, atol=1e-13)
