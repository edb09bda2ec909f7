"""The contribution game and the network of the POLA paper, Figure 3.

Two players; who contributes pays 1, and all contributions, times a factor, are
shared. A player sees one-hot what each of the two did last: contribute,
nothing, or that it is the start. Its policy is a network of 16 hidden units.
"""

import itertools

import keras
import numpy as np

import dice_tf

FACTOR = 1.33
DISCOUNT = 0.96
# Of one round in which both contribute.
COOPERATIVE_RETURN = FACTOR - 1.0

_HIDDEN_UNITS = 16
# Of the game; values have an infinite horizon.
_SOME_LENGTH = 150


def contribution_game() -> dice_tf.games.FiniteGame:
    """Returns the game; action 0 is to contribute."""
    own = [
        [FACTOR - 1.0, FACTOR / 2 - 1.0],
        [FACTOR / 2, 0.0],
    ]
    game = dice_tf.games.iterated_matrix_game(
        np.array([own, np.transpose(own)]), _SOME_LENGTH
    )
    return dice_tf.games.FiniteGame(
        game.rewards,
        game.transitions,
        game.initial,
        episode_length=_SOME_LENGTH,
        # As many rows as a player tells states apart, in the order of each.
        observations=[seen @ observations() for seen in game.observations],
    )


def observations() -> np.ndarray:
    """Returns what a player sees after CC, CD, DC, DD and at the start.

    Returns:
      `[5, 6]`: its own last action, then the other's, each one-hot over
      contribute, nothing and start.
    """
    pairs = [*itertools.product(range(2), range(2)), (2, 2)]
    return np.reshape(np.eye(3)[pairs], [5, 6])


def network() -> keras.Model:
    """Returns a policy whose weights are drawn as PyTorch draws them."""

    def dense(inputs: int, units: int, activation: str | None):
        bound = inputs**-0.5
        return keras.layers.Dense(
            units,
            activation,
            kernel_initializer=keras.initializers.RandomUniform(-bound, bound),
            bias_initializer=keras.initializers.RandomUniform(-bound, bound),
        )

    return keras.Sequential(
        [
            keras.Input([6]),
            dense(6, _HIDDEN_UNITS, "tanh"),
            dense(_HIDDEN_UNITS, 1, None),
        ]
    )


def objective() -> dice_tf.objectives.ExactObjective:
    """Returns the exact values, over an infinite horizon, of two networks."""
    return dice_tf.objectives.ExactObjective(
        contribution_game(), [network(), network()], DISCOUNT, None
    )
