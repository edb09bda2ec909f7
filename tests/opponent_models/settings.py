"""A sampled game to model opponents in, and the fit of tables by hand."""

import numpy as np
import tensorflow as tf

import dice_tf
from dice_tf.objectives import DiCEObjective
from tests import oracles
from tests.toys import ASYMMETRIC, random_params, tabular_policies

DISCOUNT, LENGTH, BATCH_SIZE = 0.9, 6, 16
SEED = tf.constant([3, 4])


def setting(payoffs=ASYMMETRIC, wrap=lambda game: game):
    """A sampled objective in float64, and parameters of its players."""
    game = dice_tf.games.iterated_matrix_game(payoffs, LENGTH, dtype="float64")
    policies = tabular_policies(game)
    objective = DiCEObjective(wrap(game), policies, DISCOUNT, BATCH_SIZE)
    params = [
        [tf.constant(x) for x in player_params]
        for player_params in random_params(policies, 0)
    ]
    return objective, params


def models_of(objective, player_id, seed=7):
    """Models of all others, with random weights."""
    models = tabular_policies(objective.game)
    for model, weights in zip(models, random_params(models, seed), strict=True):
        model.set_weights(weights)
    models[player_id] = None
    return models


def tables_of(models):
    """The logits of each model, `None` where there is none."""
    return [
        None if model is None else model.get_weights()[0] for model in models
    ]


def fitted_by_hand(objective, params, tables, num_steps, rates):
    """The models' logits after plain ascent, in NumPy, a rate per seat."""
    trajectory = objective.play(params, SEED).trajectory
    fitted = []
    for j, (theta, rate) in enumerate(zip(tables, rates, strict=True)):
        if theta is None:
            fitted.append(None)
            continue
        rows = np.argmax(trajectory.observations[j], axis=-1)
        actions = np.asarray(trajectory.actions[j])
        for _ in range(num_steps):
            pi = oracles.policy(theta)
            gradient = np.zeros_like(theta)
            for row, action in zip(rows.ravel(), actions.ravel(), strict=True):
                if theta.shape[1] == 1:
                    gradient[row, 0] += (action == 0) - pi[row, 0]
                else:
                    gradient[row] += np.eye(theta.shape[1])[action] - pi[row]
            theta = theta + rate * gradient / rows.size
        fitted.append(theta)
    return fitted
