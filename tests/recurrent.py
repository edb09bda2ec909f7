"""Recurrent policies in NumPy, and all that they can play in a small game."""

import itertools

import numpy as np

import dice_tf
from tests import oracles
from tests.toys import ASYMMETRIC, random_params

LENGTH, DISCOUNT, UNITS = 2, 0.9, 2


def small_game(episode_length=LENGTH):
    return dice_tf.games.iterated_matrix_game(
        ASYMMETRIC, episode_length, dtype="float64"
    )


def gru_policies(game, units=UNITS):
    """GRU policies with random parameters, biases too."""
    policies = [
        dice_tf.policies.gru(game, player_id, units=units)
        for player_id in range(game.num_players)
    ]
    for policy, own in zip(policies, random_params(policies, 3), strict=True):
        policy.set_weights([*own, *policy.get_weights()[len(own) :]])
    return policies


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def gru_log_odds(params, observations):
    """Log-odds of action 0 after each observation, `[T]`.

    Cho et al. 2014 with the reset gate after the product, as in Keras:
    z = s(Wz x + Uz h), r = s(Wr x + Ur h), n = tanh(W x + r (U h)),
    h' = z h + (1 - z) n.
    """
    kernel, recurrent, (bias, recurrent_bias), dense, dense_bias = params
    state, log_odds = np.zeros(recurrent.shape[0]), []
    for observation in observations:
        xz, xr, xn = np.split(observation @ kernel + bias, 3)
        hz, hr, hn = np.split(state @ recurrent + recurrent_bias, 3)
        update, reset = sigmoid(xz + hz), sigmoid(xr + hr)
        state = update * state + (1 - update) * np.tanh(xn + reset * hn)
        log_odds.append((state @ dense + dense_bias)[0])
    return np.array(log_odds)


def min_gru_log_odds(params, observations):
    """Log-odds of action 0 after each observation, `[T]`.

    Feng et al. 2024: z = s(Wz x), h' = (1 - z) h + z (Wh x), with biases.
    """
    kernel, bias, dense, dense_bias = params
    state, log_odds = np.zeros(dense.shape[0]), []
    for observation in observations:
        gate, candidate = np.split(observation @ kernel + bias, 2)
        gate = sigmoid(gate)
        state = (1 - gate) * state + gate * candidate
        log_odds.append((state @ dense + dense_bias)[0])
    return np.array(log_odds)


def observations_of(actions, player_id):
    """What a player sees of joint actions `[T, 2]`, one-hot `[T, 5]`."""
    before = [None, *map(list, actions[:-1])]
    rows = [oracles.observation(own, player_id, (2, 2)) for own in before]
    return np.eye(5)[rows]


def log_prob(params, actions, player_id, log_odds_of=gru_log_odds):
    """Log-probability of a player's actions, of joint ones `[T, 2]`."""
    seen = observations_of(actions, player_id)
    signs = 1.0 - 2.0 * actions[:, player_id]
    log_odds = log_odds_of(params, seen)
    return -np.sum(np.log(1.0 + np.exp(-signs * log_odds)))


def all_actions(length=LENGTH):
    """Every trajectory, joint actions `[n, T, 2]`."""
    joints = itertools.product(range(2), repeat=2)
    return np.array(list(itertools.product(joints, repeat=length)))


def value(params, player_id, length=LENGTH, log_odds_of=gru_log_odds):
    """Expected discounted return of a player: a sum over trajectories."""
    weights, total = DISCOUNT ** np.arange(length), 0.0
    for actions in all_actions(length):
        chance = np.exp(
            sum(
                log_prob(own, actions, i, log_odds_of)
                for i, own in enumerate(params)
            )
        )
        rewards = ASYMMETRIC[player_id][actions[:, 0], actions[:, 1]]
        total = total + chance * np.sum(weights * rewards)
    return total


def gradient(function, params):
    """Complex steps: exact to rounding."""
    return [
        np.array(
            [
                function(
                    [
                        *params[:k],
                        own + 1e-30j * unit.reshape(own.shape),
                        *params[k + 1 :],
                    ]
                ).imag
                / 1e-30
                for unit in np.eye(own.size)
            ]
        ).reshape(own.shape)
        for k, own in enumerate(params)
    ]
