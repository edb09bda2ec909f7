"""Actions from probabilities and uniform noise, by inversion.

TensorFlow's own samplers draw other actions for one seed under XLA than in
graph mode. Uniforms from `dice_tf.seeds.uniform` do not, nor do comparisons.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

# Of more actions, `rounding_slack` would be above three millionths.
FEW_ACTIONS = 32


def thresholds(log_probs: tf.Tensor) -> list[tf.Tensor]:
    """Returns the cumulative probabilities of all actions but the last.

    No noise below 1 chooses an action of probability 0.

    Args:
      log_probs: `[..., num_actions]`.

    Returns:
      `num_actions - 1` tensors `[...]`.
    """
    probabilities = tf.unstack(tf.exp(log_probs), axis=-1)
    # Add one probability after the other: a probability of 0 then leaves the
    # sum exactly as it is.
    cumulative = itertools.accumulate(probabilities[:-1])
    later = list(itertools.accumulate(reversed(probabilities[1:])))[::-1]
    # Rounding may leave the sum below 1 after the last possible action.
    return [
        tf.where(rest > 0.0, threshold, tf.ones_like(threshold))
        for threshold, rest in zip(cumulative, later, strict=True)
    ]


def rounding_slack(num_actions: int) -> float:
    """Returns more than rounding takes from a sum of all probabilities.

    In single precision, for at most `FEW_ACTIONS`. Noise on [0, 1] that is
    multiplied by 1 less this is below the sum, so that it chooses no action of
    probability 0, without looking for these. As much of the last actions'
    probabilities is not drawn.

    Returns:
      A multiple of 2**-24, so that 1 less it is exact in single precision.
    """
    # Each addition rounds by a unit in the last place at most, exponentials and
    # logarithms by some.
    return (num_actions + 16) * 2.0**-24


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
    return invert(thresholds(log_probs), noise)


def have_nan(values: Any) -> tf.Tensor:
    """Returns which entries of a batch hold a NaN, bool `[B]`.

    Args:
      values: a tensor `[B, ...]`, or a nest of such.
    """
    found = [
        tf.reduce_any(
            tf.math.is_nan(leaf), axis=list(range(1, leaf.shape.rank))
        )
        for leaf in tf.nest.flatten(values)
        if leaf.dtype.is_floating
    ]
    if found:
        return tf.reduce_any(found, axis=0)
    return tf.zeros(tf.shape(tf.nest.flatten(values)[0])[:1], tf.bool)


def nan_where(condition: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Returns `x`, and NaN where a condition holds.

    There is no constant NaN among its operations, which
    `tf.debugging.enable_check_numerics` would take for an error even where
    the condition does not hold. It is a product, and not a selection: where
    it is NaN, derivatives are NaN as well.

    Args:
      condition: bool, of a shape that broadcasts to that of `x`.
      x: floating.

    Returns:
      A tensor like `x`.
    """
    one = tf.ones([], x.dtype)
    return x * tf.sqrt(tf.where(condition, -one, one))
