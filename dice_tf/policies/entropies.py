"""Entropies and divergences of distributions over finitely many actions.

Both take log-probabilities, of which some may be minus infinity: `0 log 0 = 0`,
and an action of probability 0 has no part in a derivative of any order. A NaN
stays one.
"""

import tensorflow as tf


def entropy(log_probs: tf.Tensor) -> tf.Tensor:
    """Returns `-sum_a p(a) log p(a)`, in nats.

    Args:
      log_probs: `[..., num_actions]`.

    Returns:
      `[...]`, differentiable to any order.
    """
    return -tf.reduce_sum(_expected_terms(log_probs, log_probs), axis=-1)


def divergence(log_probs: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Returns `KL(p || q) = sum_a p(a) (log p(a) - log q(a))`, in nats.

    Args:
      log_probs: `[..., num_actions]`, of `p`.
      others: `[..., num_actions]`, of `q`.

    Returns:
      `[...]`, differentiable in both to any order; infinite where `p` does
      what `q` never does, of which the derivatives are left out.
    """
    # An infinite term is a constant: the product of an infinity with a
    # cotangent of 0, of a state that is never visited, would be NaN.
    is_missing = tf.math.is_inf(others) & (tf.exp(log_probs) > 0.0)
    finite = tf.where(is_missing, tf.zeros_like(others), others)
    terms = _expected_terms(log_probs, log_probs - finite)
    infinite = tf.stop_gradient(-others)
    return tf.reduce_sum(tf.where(is_missing, infinite, terms), axis=-1)


def _expected_terms(log_probs: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Returns `p(a) x(a)`, and 0 where `p(a)` is 0, whatever `x(a)` is."""
    is_never = tf.exp(log_probs) == 0.0
    nothing = tf.zeros_like(x)
    # Select before the product too: its derivative would be NaN otherwise.
    log_probs = tf.where(is_never, nothing, log_probs)
    x = tf.where(is_never, nothing, x)
    return tf.where(is_never, nothing, tf.exp(log_probs) * x)
