"""Heads: from what a policy network puts out to a tfp distribution.

A head is any function from a tensor `[..., num_outputs]` to a
`tfp.distributions.Distribution` over the actions of the leading axes. Which
one belongs to a network follows from its number of outputs, unless the user
attached one.
"""

from collections.abc import Callable

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from dice_tf.policies.attachments import attach, attached

Head = Callable[[tf.Tensor], tfp.distributions.Distribution]


def categorical(outputs: tf.Tensor) -> tfp.distributions.Categorical:
    """Reads the outputs as one logit per action.

    Args:
      outputs: `[..., num_actions]`.

    Returns:
      A `tfp.distributions.Categorical` over `num_actions` actions.
    """
    return tfp.distributions.Categorical(logits=outputs)


def bernoulli(outputs: tf.Tensor) -> tfp.distributions.Bernoulli:
    """Reads the output as the log-odds of action 0, of two actions.

    In our matrix games action 0 is to cooperate, so `sigmoid(outputs)` is the
    probability of cooperation, the field's usual parameter.

    Args:
      outputs: `[..., 1]`.

    Returns:
      A `tfp.distributions.Bernoulli` over the actions 0 and 1.
    """
    return tfp.distributions.Bernoulli(logits=-tf.squeeze(outputs, -1))


def all_log_probs(
    distribution: tfp.distributions.Distribution, num_actions: int
) -> tf.Tensor:
    """Returns the log-probability of every action, `[..., num_actions]`.

    That of an action of probability 0 is minus infinity. Derivatives are
    finite where those of the other actions are.
    """
    by_probs = _log_probs_of_probs(distribution, num_actions)
    if by_probs is not None:
        return by_probs
    if type(distribution) is tfp.distributions.Bernoulli and num_actions == 2:
        log_odds = distribution.logits
        # As in most matrix games: a tenth of the operations.
        pair = [-tf.nn.softplus(log_odds), -tf.nn.softplus(-log_odds)]
        return tf.stack(pair, axis=-1)
    rank = distribution.batch_shape.rank
    actions = tf.reshape(tf.range(num_actions), [num_actions] + [1] * rank)
    log_probs = distribution.log_prob(actions)
    return tf.transpose(log_probs, [*range(1, rank + 1), 0])


def action_log_probs(
    distribution: tfp.distributions.Distribution,
    actions: tf.Tensor,
    num_actions: int | None,
) -> tf.Tensor:
    """Returns the log-probability of one action each.

    Args:
      distribution: over the leading axes.
      actions: `[...]`, a tensor, or a nest where actions are not a finite set.
      num_actions: number of actions, `None` if not finite.

    Returns:
      A tensor of the batch shape, with finite derivatives where the action
      has a probability above 0.
    """
    log_probs = None
    if num_actions is not None:
        log_probs = _log_probs_of_probs(distribution, num_actions)
    if log_probs is None:
        return distribution.log_prob(actions)
    # Not a product with a one-hot row, in which 0 times infinity is NaN.
    is_taken = actions[..., tf.newaxis] == tf.range(num_actions)
    nothing = tf.zeros_like(log_probs)
    return tf.reduce_sum(tf.where(is_taken, log_probs, nothing), axis=-1)


def _log_probs_of_probs(
    distribution: tfp.distributions.Distribution, num_actions: int
) -> tf.Tensor | None:
    """Returns log-probabilities of what is given by probabilities, else None.

    TensorFlow Probability differentiates the logarithm of each of them, also
    of a 0, which makes every derivative NaN.
    """
    kind = type(distribution)
    known = (tfp.distributions.Bernoulli, tfp.distributions.Categorical)
    if kind not in known or distribution.logits is not None:
        return None
    probs = distribution.probs
    if kind is tfp.distributions.Bernoulli and num_actions == 2:
        # log1p keeps the digits of small probabilities.
        pair = [_log(tf.math.log1p, -probs), _log(tf.math.log, probs)]
        return tf.stack(pair, axis=-1)
    if kind is tfp.distributions.Categorical and probs.shape[-1] == num_actions:
        # They need not sum to 1.
        total = tf.reduce_sum(probs, axis=-1, keepdims=True)
        return _log(tf.math.log, probs) - tf.math.log(total)
    return None


def _log(function: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """Returns a logarithm, whose derivative is 0 where it is -infinity."""
    logs = tf.stop_gradient(function(x))
    is_never = tf.math.is_inf(logs)
    # Any number with a finite logarithm would do.
    finite = function(tf.where(is_never, tf.ones_like(x), x))
    return tf.where(is_never, logs, finite)


def logits_of(
    distribution: tfp.distributions.Distribution, num_actions: int
) -> tf.Tensor:
    """Returns logits of every action, `[..., num_actions]`.

    Those that the distribution holds where it holds some, else its
    log-probabilities.
    """
    by_probs = _log_probs_of_probs(distribution, num_actions)
    if by_probs is not None:
        return by_probs
    if isinstance(distribution, tfp.distributions.Categorical):
        return distribution.logits_parameter()
    if isinstance(distribution, tfp.distributions.Bernoulli):
        log_odds = distribution.logits_parameter()
        return tf.stack([tf.zeros_like(log_odds), log_odds], axis=-1)
    return all_log_probs(distribution, num_actions)


def with_head(policy: keras.Model, head: Head) -> keras.Model:
    """Attaches a head to a policy network.

    The head is a Python function and is not saved in a `.keras` file. Copies
    (`copy.deepcopy`, `pickle`, `keras.models.clone_model`) keep it, except
    clones of a model class that is registered with Keras. To be pickled it
    must be a function that can be imported. Illegal actions need not concern
    it: a seat takes them out of what it returns.

    Args:
      policy: a `keras.Model` from observations to `[..., num_outputs]`.
      head: a function from such outputs to a tfp distribution over actions,
        differentiable (twice for the shaping learners) in the outputs.

    Returns:
      The same policy.

    Raises:
      TypeError: if `policy` is not a `keras.Model` or `head` not callable.

    Example:
      >>> def cautious(outputs):
      ...     return tfp.distributions.Categorical(logits=outputs / 2.0)
      >>> policy = dice_tf.policies.with_head(policy, cautious)
    """
    if not isinstance(policy, keras.Model):
        raise TypeError(
            f"`policy` must be a keras.Model. Received: {type(policy)}."
        )
    if not callable(head):
        raise TypeError(
            "`head` must be a function from a tensor to a tfp distribution. "
            f"Received: {head!r}."
        )
    attach(policy, head=head)
    return policy


def attached_head(policy: keras.Model) -> Head | None:
    """Returns the head that was attached to a policy, if one was."""
    return attached(policy).head


def head_of(
    policy: keras.Model, num_outputs: int, num_actions: int | None
) -> Head:
    """Returns the head attached to a policy, or the one that fits it.

    One output for two actions is read by `bernoulli`, one output per action
    by `categorical`.

    Args:
      policy: a `keras.Model`.
      num_outputs: size of the last axis of what it puts out.
      num_actions: number of the player's actions, `None` if not finite.

    Raises:
      ValueError: if no head fits and none is attached.
    """
    attached = attached_head(policy)
    if attached is not None:
        return attached
    if num_actions == 2 and num_outputs == 1:
        return bernoulli
    if num_actions is not None and num_outputs == num_actions:
        return categorical
    if num_actions is None:
        raise ValueError(
            f"The policy {policy.name!r} acts in a seat without a finite set "
            "of actions: attach a head with dice_tf.policies.with_head."
        )
    raise ValueError(
        f"The policy {policy.name!r} has {num_outputs} outputs, but the "
        f"player has {num_actions} actions. Expected {num_actions} logits"
        + (" (or 1, the log-odds of action 0)" if num_actions == 2 else "")
        + ", or a head attached with dice_tf.policies.with_head."
    )
