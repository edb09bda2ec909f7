"""Actions from probabilities and uniform noise, by inversion.

TensorFlow's own samplers draw other actions for one seed under XLA than in
graph mode. Uniforms from `dice_tf.seeds.uniform` do not, nor do comparisons.
"""

from collections.abc import Sequence

import tensorflow as tf


def thresholds(log_probs: tf.Tensor) -> tf.Tensor:
    """Returns the cumulative probabilities of all actions but the last.

    Args:
      log_probs: `[..., num_actions]`.

    Returns:
      `[num_actions - 1, ...]`.
    """
    cumulative = tf.cumsum(tf.exp(log_probs), axis=-1)[..., :-1]
    rank = cumulative.shape.rank
    return tf.transpose(cumulative, [rank - 1, *range(rank - 1)])


def invert(cumulative: Sequence[tf.Tensor], noise: tf.Tensor) -> tf.Tensor:
    """Returns how many thresholds the noise passes, which is the action.

    Args:
      cumulative: for each action but the last, what broadcasts to `noise`.
      noise: any shape, uniform on [0, 1).

    Returns:
      int32, of the shape of `noise`.
    """
    action = tf.zeros(tf.shape(noise), tf.int32)
    for threshold in cumulative:
        action += tf.cast(noise >= threshold, tf.int32)
    return action


def sample_actions(log_probs: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Samples one action per distribution.

    Args:
      log_probs: `[..., num_actions]`.
      noise: `[...]`, uniform on [0, 1).

    Returns:
      int32 `[...]`.
    """
    return invert(tf.unstack(thresholds(log_probs)), noise)
