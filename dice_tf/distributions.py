"""Distributions over actions, and all that is used of TensorFlow Probability.

TensorFlow Probability (TFP) is imported in no other module, so that it can be
replaced in one place if it is no longer maintained. A test enforces this.
"""

from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf
import tensorflow_probability as tfp

from dice_tf.checks import as_floats

# The kinds of distributions that stochastic graphs know, by name.
tfd = tfp.distributions
Distribution: TypeAlias = tfp.distributions.Distribution
Bernoulli: TypeAlias = tfp.distributions.Bernoulli
Categorical: TypeAlias = tfp.distributions.Categorical

# Parameters of distributions, and what maps numbers into their ranges.
ParameterProperties = tfp.util.ParameterProperties
Softplus = tfp.bijectors.Softplus


def categorical(outputs: tf.Tensor) -> Categorical:
    """Reads the outputs as one logit per action.

    Args:
      outputs: `[..., num_actions]`.

    Returns:
      A `tfp.distributions.Categorical` over `num_actions` actions.
    """
    outputs = as_floats("outputs", outputs)
    if outputs.shape.rank == 0:
        raise ValueError(
            "`outputs` must have shape [..., num_actions]. Received a scalar."
        )
    return Categorical(logits=outputs)


def bernoulli(outputs: tf.Tensor) -> Bernoulli:
    """Reads the output as the log-odds of action 0, of two actions.

    In our matrix games action 0 is to cooperate, so `sigmoid(outputs)` is the
    probability of cooperation, the field's usual parameter.

    Args:
      outputs: `[..., 1]`.

    Returns:
      A `tfp.distributions.Bernoulli` over the actions 0 and 1.
    """
    outputs = as_floats("outputs", outputs)
    if outputs.shape.rank == 0 or outputs.shape[-1:] not in ([1], [None]):
        raise ValueError(
            "`outputs` must have shape [..., 1]. Received shape "
            f"{tuple(outputs.shape)}."
        )
    return Bernoulli(logits=-tf.squeeze(outputs, -1))


def all_log_probs(distribution: Distribution, num_actions: int) -> tf.Tensor:
    """Returns the log-probability of every action, `[..., num_actions]`.

    That of an action of probability 0 is minus infinity. Derivatives are
    finite where those of the other actions are.
    """
    by_probs = _log_probs_of_probs(distribution, num_actions)
    if by_probs is not None:
        return by_probs
    if type(distribution) is Bernoulli and num_actions == 2:
        log_odds = distribution.logits
        # The case of most matrix games, with a tenth of the operations.
        pair = [-tf.nn.softplus(log_odds), -tf.nn.softplus(-log_odds)]
        return tf.stack(pair, axis=-1)
    if type(distribution) is Categorical:
        logits = distribution.logits
        if logits is not None and logits.shape[-1] == num_actions:
            # `log_prob` makes a softmax for each action. In a profile of
            # Advantage Alignment (Coin Game, two CPU cores), these took 6.6
            # of 57 ms of an iteration, three quarters of it for nothing.
            return tf.nn.log_softmax(logits)
    rank = distribution.batch_shape.rank
    actions = tf.reshape(tf.range(num_actions), [num_actions] + [1] * rank)
    log_probs = distribution.log_prob(actions)
    return tf.transpose(log_probs, [*range(1, rank + 1), 0])


def action_log_probs(
    distribution: Distribution,
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
    # A product with a one-hot row would be NaN, as 0 times infinity is.
    is_taken = actions[..., tf.newaxis] == tf.range(num_actions)
    nothing = tf.zeros_like(log_probs)
    return tf.reduce_sum(tf.where(is_taken, log_probs, nothing), axis=-1)


def _log_probs_of_probs(
    distribution: Distribution, num_actions: int
) -> tf.Tensor | None:
    """Returns log-probabilities of what is given by probabilities, else None.

    TensorFlow Probability differentiates the logarithm of each of them, also
    of a 0, which makes every derivative NaN.
    """
    kind = type(distribution)
    known = (Bernoulli, Categorical)
    if kind not in known or distribution.logits is not None:
        return None
    probs = distribution.probs
    if kind is Bernoulli and num_actions == 2:
        # log1p keeps the digits of small probabilities.
        pair = [_log(tf.math.log1p, -probs), _log(tf.math.log, probs)]
        return tf.stack(pair, axis=-1)
    if kind is Categorical and probs.shape[-1] == num_actions:
        # TFP does not require that these sum to 1.
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


def logits_of(distribution: Distribution, num_actions: int) -> tf.Tensor:
    """Returns logits of every action, `[..., num_actions]`.

    Those that the distribution holds where it holds some, else its
    log-probabilities.
    """
    by_probs = _log_probs_of_probs(distribution, num_actions)
    if by_probs is not None:
        return by_probs
    if isinstance(distribution, tfd.Categorical):
        return distribution.logits_parameter()
    if isinstance(distribution, tfd.Bernoulli):
        log_odds = distribution.logits_parameter()
        return tf.stack([tf.zeros_like(log_odds), log_odds], axis=-1)
    return all_log_probs(distribution, num_actions)
