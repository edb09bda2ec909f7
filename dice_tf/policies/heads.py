"""Heads: from what a policy network puts out to a tfp distribution.

A head is any function from a tensor `[..., num_outputs]` to a
`tfp.distributions.Distribution` over the actions of the leading axes. Which
one belongs to a network follows from its number of outputs, unless the user
attached one.
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from dice_tf.checks import check_function
from dice_tf.distributions import Distribution, bernoulli, categorical
from dice_tf.policies.attachments import attach, attached

Head = Callable[[tf.Tensor], Distribution]


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
      ...     return tfp.distributions.Bernoulli(logits=-outputs[..., 0] / 2.0)
      >>> policy = dice_tf.policies.mlp(game, 0)
      >>> policy = dice_tf.policies.with_head(policy, cautious)
    """
    if not isinstance(policy, keras.Model):
        raise TypeError(
            f"`policy` must be a keras.Model. Received: {type(policy)}."
        )
    expected = "a function from a tensor to a tfp distribution"
    check_function("head", head, expected, 1)
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
    head = attached_head(policy)
    if head is not None:
        return head
    if num_actions == 2 and num_outputs == 1:
        return bernoulli
    if num_actions is not None and num_outputs == num_actions:
        return categorical
    if num_actions is None:
        raise ValueError(
            f"The policy {policy.name!r} acts in a seat without a finite set "
            "of actions (num_actions=None): attach a head with "
            "dice_tf.policies.with_head."
        )
    raise ValueError(
        f"The policy {policy.name!r} has {num_outputs} outputs, but the "
        f"player has {num_actions} actions. Expected {num_actions} logits"
        + (" (or 1, the log-odds of action 0)" if num_actions == 2 else "")
        + ", or a head attached with dice_tf.policies.with_head."
    )
