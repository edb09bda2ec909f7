"""Memory-one policies and games that the tests of evaluation share."""

import functools
import itertools

import numpy as np

import dice_tf
from tests import oracles
from tests.toys import ASYMMETRIC, THREE_PLAYERS

PAYOFFS = {"2": ASYMMETRIC, "3": THREE_PLAYERS}
# An asymmetric dilemma: what is best depends on what was played, and when.
DILEMMA = np.array([[[3.0, 0.2], [4.1, 1.0]], [[3.2, 4.3], [-0.3, 0.9]]])


def game_of(payoffs, episode_length=5):
    """The same game for the same payoffs: what is compiled for it is kept."""
    payoffs = np.asarray(payoffs, np.float64)
    return _game_of(payoffs.tobytes(), payoffs.shape, episode_length)


@functools.cache
def _game_of(values, shape, episode_length):
    return dice_tf.games.iterated_matrix_game(
        np.frombuffer(values).reshape(shape), episode_length, dtype="float64"
    )


def random_tables(payoffs, seed):
    """Probabilities `[O, A]` per player, in the order of its observations."""
    rng = np.random.default_rng(seed)
    num_actions = payoffs.shape[1:]
    rows = int(np.prod(num_actions)) + 1
    return [rng.dirichlet(np.ones(count), rows) for count in num_actions]


def policies_of(game, tables):
    return [
        dice_tf.policies.fixed_policy(game, player_id, table)
        for player_id, table in enumerate(tables)
    ]


def logits(tables):
    """What the oracles take: logits of probabilities that may be 0."""
    return [np.log(np.maximum(table, 1e-300)) for table in tables]


def returns(payoffs, tables, discount, episode_length):
    """Reported returns, one per player, by the oracle."""
    # At discount .9 what follows step 400 is below 1e-17.
    values = oracles.values(
        payoffs, logits(tables), discount, episode_length or 400
    )
    scale = 1 - discount if discount < 1 else 1 / episode_length
    return scale * values


def certain_tables(num_rows, num_actions):
    """All deterministic tables `[num_rows, num_actions]`."""
    for actions in itertools.product(range(num_actions), repeat=num_rows):
        yield np.eye(num_actions)[list(actions)]
