"""Random Markov decision processes, as games of one player."""

import numpy as np

import dice_tf


def random_mdp(
    generator: np.random.Generator,
    num_states: int,
    num_actions: int,
    episode_length: int,
    dtype: str = "float32",
) -> dice_tf.games.FiniteGame:
    """Draws a process as the experiment of Loaded DiCE does.

    From each state each action leads to a random set of states: those whose
    uniform number is above a threshold that is uniform itself, or one of all
    if there is none. Their probabilities are uniform numbers, normalised.
    Every state has a reward, whatever the action, from N(50, 10^2): an offset
    like this is what estimators without a baseline cannot cope with. The
    first state is uniform.

    Args:
      generator: source of randomness.
      num_states: S.
      num_actions: A.
      episode_length: T.
      dtype: of the game.

    Returns:
      A game with one player.
    """
    shape = [num_states, num_actions, num_states]
    thresholds = generator.uniform(size=[num_states, num_actions, 1])
    is_open = generator.uniform(size=shape) > thresholds
    one_of_all = np.eye(num_states)[
        generator.integers(num_states, size=[num_states, num_actions])
    ]
    is_closed = ~is_open.any(axis=-1, keepdims=True)
    mask = np.where(is_closed, one_of_all, is_open)
    # Not 0, so that a row with one way out has a sum.
    moves = mask * generator.uniform(1e-6, 1.0, size=shape)
    rewards = 10.0 * (generator.normal(size=num_states) + 5.0)
    return dice_tf.games.FiniteGame(
        np.tile(rewards[np.newaxis, :, np.newaxis], [1, 1, num_actions]),
        moves / moves.sum(axis=-1, keepdims=True),
        np.full(num_states, 1.0 / num_states),
        episode_length=episode_length,
        dtype=dtype,
    )
