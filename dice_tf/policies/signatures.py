"""The signatures of an exported policy, as functions of tensors.

Runtimes differ in what they do to inputs that make no sense. TensorFlow Lite
checks no shapes, keeps the NaN of some operations and drops that of others, and
has no assertions; broadcasting would let one row stand for all. So the graphs
say what is right by operations that every runtime has: a reshape fails on
another number of entries, and the square root of -1 is NaN.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from dice_tf.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    all_log_probs,
)
from dice_tf.policies.action_sets import (
    Policy,
    example_distribution,
    finite_actions,
)
from dice_tf.policies.sampling import (
    have_nan,
    sample_actions,
)
from dice_tf.seeds import uniform, uniform_of_each

PROBABILITIES = "probabilities"

# A server merges the rows of several requests, so each row has a seed.
SEEDS = tf.TensorSpec([None, 2], tf.int32, "seed")
# In Python one seed for all rows reads best.
SEED = tf.TensorSpec([2], tf.int32, "seed")

# Of a function from tensors `[B, ...]` to one, row by row.
ByRow = Callable[..., tf.Tensor]
Rounding = Callable[[ByRow], ByRow]

# The most numbers that kernels compute at a time.
_PACKET = 16

# From the number of a row to the distribution of that row alone, of batch shape
# [1].
RowPolicy = Callable[[tf.Tensor], Distribution]


class Signature(NamedTuple):
    """One function of an exported policy.

    Attributes:
      function: from tensors to a dictionary of tensors.
      inputs: list of `tf.TensorSpec`, named as the function's arguments. All
        have a leading batch axis, so that a server may merge requests.
      python_inputs: what the function takes as well where it is called from
        Python: one seed for all rows, a number in place of an axis of that
        length. `None` if that is the same.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: list[tf.TensorSpec]
    python_inputs: list[tf.TensorSpec] | None = None


def policy_signatures(
    policy: Policy, observation: tf.TensorSpec, num_actions: int | str | None
) -> dict[str, Signature]:
    """Returns the signatures of a policy by name.

    Arguments and errors are those of `finite_actions`. A `ValueError` also
    says if the distribution lacks what a signature needs.
    """
    return signature_builder(policy, observation, num_actions)(policy, None)


def signature_builder(
    policy: Policy, observation: tf.TensorSpec, num_actions: int | str | None
) -> Callable[[Policy, RowPolicy | None], dict[str, Signature]]:
    """Returns what makes signatures of policies that act as a given one.

    Args and errors are those of `policy_signatures`. What is returned takes a
    policy, and how it treats a single row, see `general_signatures`.
    """
    num_actions = finite_actions(policy, observation, num_actions)
    if num_actions is not None:
        return lambda made, _: finite_signatures(
            lambda observed: _log_probs(made(observed), num_actions),
            observation,
        )
    example = example_distribution(policy, observation)
    try:
        example.mode()
    except NotImplementedError as error:
        raise ValueError(
            f"The policy's distribution {example.name!r} has no mode, which "
            "`act_greedy` needs."
        ) from error
    action = tf.TensorSpec(
        [None, *example.event_shape], example.dtype, "action"
    )
    return lambda made, row_policy: general_signatures(
        made, observation, action, row_policy
    )


def in_whole_packets(function: ByRow) -> ByRow:
    """Returns the function, which rounds a row alike in every batch.

    TensorFlow's kernels on CPU compute up to 16 exponentials or logarithms at
    a time, and what is left over one by one, with another last bit. With rows
    added up to a multiple of 16, nothing is left over.

    Args:
      function: from tensors `[B, ...]` to one, by row.
    """

    def padded(*rows: tf.Tensor) -> tf.Tensor:
        num_rows = tf.shape(rows[0])[0]
        added = -num_rows % _PACKET
        return function(
            *(
                tf.pad(x, [[0, added]] + [[0, 0]] * (len(x.shape) - 1))
                for x in rows
            )
        )[:num_rows]

    return padded


def as_given(function: ByRow) -> ByRow:
    """Returns the function: other runtimes than TensorFlow round as they do."""
    return function


def choose(
    log_probs: tf.Tensor, noise: tf.Tensor, rounding: Rounding
) -> dict[str, tf.Tensor]:
    """Returns the actions that uniform noise chooses.

    Args:
      log_probs: `[B, A]`.
      noise: `[B]`, uniform on [0, 1).
      rounding: `in_whole_packets` or `as_given`.

    Returns:
      `action`, int32 `[B]`, and its `log_prob`, `[B]`; -1 and NaN where a
      log-probability is NaN.
    """
    action = rounding(sample_actions)(log_probs, noise)
    action = _no_action(have_nan(log_probs), action)
    return {"action": action, "log_prob": _entry(log_probs, action)}


def in_rows(x: tf.Tensor, rows: tf.Tensor, shape: list[int]) -> tf.Tensor:
    """Returns a tensor as one entry per row, or fails in every runtime.

    Args:
      x: `[B, *shape]`. One row would be broadcast to all if it was not refused.
      rows: `[B, ...]`.
      shape: of one entry.

    Returns:
      `x`, bit by bit.
    """
    # An axis more: without it TensorFlow takes the reshape for an identity, and
    # leaves it away.
    return tf.reshape(x, [tf.shape(rows)[0], 1, *shape])[:, 0]


def nan_for(condition: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Returns `x`, and NaN where a condition holds, in every runtime.

    TensorFlow Lite turns the NaN of products, exponentials and maxima into
    numbers, so it is selected, as the last operation before an output. As in
    `nan_where` no constant is NaN.

    Args:
      condition: bool, of a shape that broadcasts to that of `x`.
      x: floating.
    """
    one = tf.ones([], x.dtype)
    return tf.where(condition, tf.sqrt(tf.where(condition, -one, one)), x)


def are_not_finite(x: tf.Tensor) -> tf.Tensor:
    """Returns which rows hold a NaN or an infinity, bool `[B]`.

    Args:
      x: `[B, ...]`.
    """
    are_nan = have_nan(x)
    if not x.dtype.is_floating:
        return are_nan
    are_infinite = tf.reduce_any(
        tf.abs(x) > x.dtype.max, axis=list(range(1, x.shape.rank))
    )
    return are_nan | are_infinite


def finite_signatures(
    log_probs_of: Callable[[tf.Tensor], tf.Tensor],
    observation: tf.TensorSpec,
    rounding: Rounding = in_whole_packets,
) -> dict[str, Signature]:
    """Returns the signatures of a policy with a finite set of actions.

    Seeds give the same actions eagerly, in graphs and under XLA.

    Args:
      log_probs_of: from observations to the log-probability of each action,
        `[B, A]`.
      observation: `[None, ...]`, named.
      rounding: as of `choose`.

    Returns:
      Signatures by name; observations `[B, ...]`, actions int32 `[B]`,
      log-probabilities `[B]` and probabilities `[B, A]`. Where an observation
      is not finite these are NaN and the action is -1; with one seed for all
      rows, that is an error.
    """
    log_probs_of = with_nan_kept(log_probs_of)

    def act(observation: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        log_probs = log_probs_of(observation)
        if _is_of_all_rows(seed):
            with tf.control_dependencies([_check_rows(have_nan(log_probs))]):
                log_probs = tf.identity(log_probs)
            # Negative seeds give other bits under XLA than in graph mode.
            seed = tf.bitwise.bitwise_and(seed, 0x7FFFFFFF)
            noise = uniform(seed, tf.shape(log_probs)[:-1], log_probs.dtype)
        else:
            seeds = _seed_of_each(seed, log_probs)
            noise = uniform_of_each(seeds, log_probs.dtype)
        return choose(log_probs, noise, rounding)

    def act_greedy(observation: tf.Tensor) -> dict[str, tf.Tensor]:
        log_probs = log_probs_of(observation)
        action = tf.argmax(log_probs, -1, output_type=tf.int32)
        return {"action": _no_action(have_nan(log_probs), action)}

    def probabilities(observation: tf.Tensor) -> dict[str, tf.Tensor]:
        log_probs = log_probs_of(observation)
        are_nan = have_nan(log_probs)[:, tf.newaxis]
        return {PROBABILITIES: nan_for(are_nan, rounding(tf.exp)(log_probs))}

    def log_prob(
        observation: tf.Tensor, action: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        log_probs = log_probs_of(observation)
        return {"log_prob": _entry(log_probs, in_rows(action, log_probs, []))}

    action = tf.TensorSpec([None], tf.int32, "action")
    return {
        "act": Signature(act, [observation, SEEDS], [observation, SEED]),
        "act_greedy": Signature(act_greedy, [observation]),
        PROBABILITIES: Signature(probabilities, [observation]),
        "log_prob": Signature(log_prob, [observation, action]),
    }


def with_nan_kept(
    log_probs_of: Callable[[tf.Tensor], tf.Tensor],
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function, which is NaN where observations are not finite.

    Args:
      log_probs_of: from observations `[B, ...]` to log-probabilities `[B, A]`.
    """

    def kept(observation: tf.Tensor) -> tf.Tensor:
        log_probs = log_probs_of(observation)
        # Some runtimes lose a NaN on the way, as in a maximum with 0.
        return nan_for(are_not_finite(observation)[:, tf.newaxis], log_probs)

    return kept


def general_signatures(
    policy: Policy,
    observation: tf.TensorSpec,
    action: tf.TensorSpec,
    row_policy: RowPolicy | None = None,
) -> dict[str, Signature]:
    """Returns the signatures of a policy without a finite set of actions.

    They are those of `finite_signatures` but for `probabilities`. With a seed
    for each row, rows are drawn one after the other: samplers of
    distributions take one seed for all that they draw.

    Args:
      policy: from observations to a distribution with a mode.
      observation: `[None, ...]`, named.
      action: `[None, ...]`, named.
      row_policy: how the policy treats a row of its input. Default: as it
        treats an observation.

    Returns:
      Signatures by name; observations and actions `[B, ...]`,
      log-probabilities `[B]`.
    """
    event_shape = action.shape[1:]

    def draw_rows(observation: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        def draw(row: tf.Tensor) -> tf.Tensor:
            if row_policy is None:
                distribution = policy(observation[row : row + 1])
            else:
                distribution = row_policy(row)
            return distribution.sample(seed=seeds[row])[0]

        return tf.map_fn(
            draw,
            tf.range(tf.shape(observation)[0]),
            fn_output_signature=tf.TensorSpec(event_shape, action.dtype),
        )

    def act(observation: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        distribution = policy(observation)
        if _is_of_all_rows(seed):
            drawn = distribution.sample(seed=seed)
        else:
            drawn = draw_rows(observation, _seed_of_each(seed, observation))
        log_prob = distribution.log_prob(drawn)
        are_strange = are_not_finite(observation) | have_nan(log_prob)
        if _is_of_all_rows(seed):
            with tf.control_dependencies([_check_rows(are_strange)]):
                return {
                    "action": tf.identity(drawn),
                    "log_prob": tf.identity(log_prob),
                }
        return {
            "action": _no_action(are_strange, drawn),
            "log_prob": nan_for(are_strange, log_prob),
        }

    def act_greedy(observation: tf.Tensor) -> dict[str, tf.Tensor]:
        mode = policy(observation).mode()
        return {"action": _no_action(are_not_finite(observation), mode)}

    def log_prob(
        observation: tf.Tensor, action: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        action = in_rows(action, observation, [*event_shape])
        found = policy(observation).log_prob(action)
        return {"log_prob": nan_for(are_not_finite(observation), found)}

    return {
        "act": Signature(act, [observation, SEEDS], [observation, SEED]),
        "act_greedy": Signature(act_greedy, [observation]),
        "log_prob": Signature(log_prob, [observation, action]),
    }


def _log_probs(distribution: Distribution, num_actions: int) -> tf.Tensor:
    """Returns log-probabilities `[B, A]`, see `in_whole_packets`."""
    kind = type(distribution)
    if kind not in (Bernoulli, Categorical) or distribution.logits is None:
        return all_log_probs(distribution, num_actions)
    return in_whole_packets(
        lambda logits: all_log_probs(kind(logits=logits), num_actions)
    )(distribution.logits)


def _is_of_all_rows(seed: tf.Tensor) -> bool:
    """Returns whether all rows are drawn from one seed, see `Signature`."""
    return seed.shape.rank == 1


def _seed_of_each(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Returns seeds, int32 `[B, 2]`, or fails if they have another shape."""
    seed = tf.ensure_shape(seed, SEEDS.shape)
    # Negative seeds give other bits under XLA than in graph mode.
    return tf.bitwise.bitwise_and(in_rows(seed, rows, [2]), 0x7FFFFFFF)


def _check_rows(are_strange: tf.Tensor) -> tf.Operation | None:
    """Fails if a row is strange, but for XLA, which has no assertions."""
    return tf.debugging.Assert(
        ~tf.reduce_any(are_strange),
        [
            "`observation` and what the policy makes of it must be finite. "
            "Received rows that are not:",
            tf.where(are_strange)[:, 0],
        ],
    )


def _no_action(where: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
    """Returns actions `[B, ...]`, in some rows -1, or NaN if floating."""
    ones = [1] * (action.shape.rank - 1)
    where = tf.reshape(where, [-1, *ones])
    if action.dtype.is_floating:
        return nan_for(where, action)
    return tf.where(where, -tf.ones_like(action), action)


def _entry(log_probs: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
    """Returns `log_probs[b, action[b]]`, NaN where there is no such action.

    A gather would fail there on a CPU, and return 0 on a GPU.
    """
    num_actions = log_probs.shape[-1]
    chosen = action[..., tf.newaxis] == tf.range(num_actions)
    nothing = tf.constant(float("-inf"), log_probs.dtype)
    found = tf.reduce_max(tf.where(chosen, log_probs, nothing), axis=-1)
    is_none = (action < 0) | (action >= num_actions)
    return nan_for(is_none | have_nan(log_probs), found)
