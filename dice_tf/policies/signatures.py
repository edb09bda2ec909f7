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
    NumActions,
    Policy,
    example_distribution,
    finite_actions,
)
from dice_tf.policies.sampling import FEW_ACTIONS, have_nan, rounding_slack
from dice_tf.seeds import uniform, uniform_of_each

PROBABILITIES = "probabilities"

# A server merges the rows of several requests, so each row has a seed.
SEEDS = tf.TensorSpec([None, 2], tf.int32, "seed")
# In Python one seed for all rows reads best.
SEED = tf.TensorSpec([2], tf.int32, "seed")

# The most numbers that kernels compute at a time.
_PACKET = 16

# From the number of a row to the distribution of that row alone, of batch shape
# [1].
RowPolicy = Callable[[tf.Tensor], Distribution]


class Reading(NamedTuple):
    """What a policy with a finite set of actions says of observations.

    Attributes:
      log_probs: `[B, A]`.
      probabilities: `[B, A]`.
      mark: `[B]`, NaN for observations that are not finite, and 0 for others.
    """

    log_probs: tf.Tensor
    probabilities: tf.Tensor
    mark: tf.Tensor


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
    policy: Policy, observation: tf.TensorSpec, num_actions: NumActions
) -> dict[str, Signature]:
    """Returns the signatures of a policy by name.

    Arguments and errors are those of `example_distribution` and
    `finite_actions`. A `ValueError` also
    says if the distribution lacks what a signature needs.
    """
    return signature_builder(policy, observation, num_actions)(policy, None)


def signature_builder(
    policy: Policy, observation: tf.TensorSpec, num_actions: NumActions
) -> Callable[[Policy, RowPolicy | None], dict[str, Signature]]:
    """Returns what makes signatures of policies that act as a given one.

    Args and errors are those of `policy_signatures`. What is returned takes a
    policy, and how it treats a single row, see `general_signatures`.
    """
    example = example_distribution(policy, observation)
    num_actions = finite_actions(example, num_actions)
    if num_actions is not None:
        return lambda made, _: finite_signatures(
            lambda observed: _log_probs(made(observed), num_actions),
            observation,
            is_normalized=_holds_logits(example),
        )
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


def with_added_rows(x: tf.Tensor) -> tf.Tensor:
    """Returns a tensor with rows of zeros behind it, so that all round alike.

    TensorFlow's kernels on CPU compute up to 16 exponentials or logarithms at
    a time, and what is left over one by one, with another last bit. With 15
    rows more, what is left over belongs to these rows.

    Args:
      x: `[B, ...]`.

    Returns:
      `[B + 15, ...]`.
    """
    added = [[0, _PACKET - 1]] + [[0, 0]] * (x.shape.rank - 1)
    return tf.pad(x, added)


def without_added_rows(x: tf.Tensor) -> tf.Tensor:
    """Takes the rows away that `with_added_rows` has put behind a tensor."""
    return x[: 1 - _PACKET]


def as_given(x: tf.Tensor) -> tf.Tensor:
    """Returns the tensor: other runtimes than TensorFlow round as they do."""
    return x


def choose(
    read: Reading, noise: tf.Tensor, is_scaled: bool = False
) -> dict[str, tf.Tensor]:
    """Returns the actions that uniform noise chooses.

    They are those of `dice_tf.policies.sampling.sample_actions`, by a few
    operations for all actions instead of ten for each. In a graph that is
    served, ten operations take as long as a layer of a small network.

    Args:
      read: of `B` rows.
      noise: `[B]`, uniform on [0, 1]; another length is an error. At the sum of
        all probabilities and above it chooses the last possible action.
      is_scaled: whether the noise is multiplied by 1 - `rounding_slack`, so
        that it is below the sum of all probabilities.

    Returns:
      `action`, int32 `[B]`, and its `log_prob`, `[B]`; -1 and NaN where the
      observation or a probability makes no sense.
    """
    # Unlike a sum, this does not broadcast a single row to all.
    marked = tf.add_n([noise, read.mark])
    cumulative = tf.cumsum(read.probabilities, axis=-1)
    are_passed = tf.expand_dims(marked, 1) >= cumulative
    if not is_scaled:
        later = tf.cumsum(
            read.probabilities, axis=-1, exclusive=True, reverse=True
        )
        are_passed &= later > 0.0
    # Faster than the largest number of a threshold that is passed.
    action = tf.reduce_sum(tf.cast(are_passed, tf.int32), axis=-1)
    # Logarithms are NaN for all actions of a row if they are for one.
    log_prob = tf.gather(read.log_probs, action, axis=1, batch_dims=1)
    log_prob += read.mark
    is_none = tf.math.is_nan(log_prob)
    return {"action": tf.where(is_none, -1, action), "log_prob": log_prob}


def choose_by_seeds(
    read: Reading, seeds: tf.Tensor, is_normalized: bool
) -> dict[str, tf.Tensor]:
    """Returns the actions that the seed of each row chooses.

    Args:
      read: of `B` rows.
      seeds: int32 `[B, 2]`.
      is_normalized: as of `finite_signatures`.

    Returns:
      As `choose`.
    """
    dtype, num_actions = read.log_probs.dtype, read.log_probs.shape[-1]
    is_scaled = (
        is_normalized and num_actions <= FEW_ACTIONS and dtype == tf.float32
    )
    slack = rounding_slack(num_actions) if is_scaled else 0.0
    # Otherwise the executor hands the network to another thread, which takes
    # longer than to wait for it.
    with tf.control_dependencies([read.log_probs]):
        seeds = tf.ensure_shape(seeds, SEEDS.shape)
    noise = uniform_of_each(seeds, dtype, scale=1.0 - slack)
    return choose(read, noise, is_scaled)


def same_rows(x: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Returns a tensor, or fails in every runtime if its rows are not as many.

    Elsewhere one row would be broadcast to all, but not in a concatenation. A
    reshape to a number of rows would fail as well, but TensorFlow Lite has only
    slow kernels for shapes that it has to compute. ONNX Runtime passes over no
    rows at all, so that `x` must also meet a tensor of `B` rows elsewhere.

    Args:
      x: `[B, N]`.
      rows: `[B, M]`, of the same dtype.

    Returns:
      `x`, bit by bit.
    """
    return tf.concat([rows, x], axis=1)[:, rows.shape[1] :]


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


def nan_of_rows(x: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Returns NaN for rows that are not finite and 0 for others, `[B]`.

    A number minus itself is 0, but for NaN and infinities: that is NaN.

    Args:
      x: `[B, ...]`.
      dtype: floating, of the result.
    """
    if not x.dtype.is_floating:
        x = tf.cast(x, dtype)
    axes = list(range(1, x.shape.rank))
    return tf.cast(tf.reduce_sum(x - x, axis=axes), dtype)


def whole_rows(log_probs: tf.Tensor) -> tf.Tensor:
    """Returns log-probabilities, all NaN in rows with one NaN, `[B, A]`."""
    marks = nan_of_rows(tf.exp(log_probs), log_probs.dtype)
    return log_probs + tf.expand_dims(marks, 1)


def are_not_finite(x: tf.Tensor) -> tf.Tensor:
    """Returns which rows hold a NaN or an infinity, bool `[B]`.

    Args:
      x: `[B, ...]`.
    """
    dtype = x.dtype if x.dtype.is_floating else tf.float32
    return tf.math.is_nan(nan_of_rows(x, dtype))


def finite_signatures(
    log_probs_of: Callable[[tf.Tensor], tf.Tensor],
    observation: tf.TensorSpec,
    without_added: Callable[[tf.Tensor], tf.Tensor] = without_added_rows,
    is_normalized: bool = False,
) -> dict[str, Signature]:
    """Returns the signatures of a policy with a finite set of actions.

    Seeds give the same actions eagerly, in graphs and under XLA.

    Args:
      log_probs_of: from observations to the log-probability of each action,
        `[B, A]`, and rows behind them, which `without_added` takes away.
      observation: `[None, ...]`, named.
      without_added: `without_added_rows` or `as_given`.
      is_normalized: whether the probabilities add up to 1, up to the rounding
        of single operations.

    Returns:
      Signatures by name; observations `[B, ...]`, actions int32 `[B]`,
      log-probabilities `[B]` and probabilities `[B, A]`. Where an observation
      is not finite these are NaN and the action is -1; with one seed for all
      rows, that is an error.
    """

    def read_rows(observation: tf.Tensor) -> Reading:
        rows = log_probs_of(observation)
        probabilities = without_added(tf.exp(rows))
        # The policy's error says more if the shape is wrong.
        with tf.control_dependencies([rows]):
            mark = nan_of_rows(observation, rows.dtype)
        return Reading(without_added(rows), probabilities, mark)

    def act(observation: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        read = read_rows(observation)
        if not _is_of_all_rows(seed):
            return choose_by_seeds(read, seed, is_normalized)
        are_strange = tf.math.is_nan(_marks_of(read))
        with tf.control_dependencies([_check_rows(are_strange)]):
            # Negative seeds give other bits under XLA than in graph mode.
            seed = tf.bitwise.bitwise_and(seed, 0x7FFFFFFF)
        noise = uniform(seed, tf.shape(read.mark), read.log_probs.dtype)
        return choose(read, noise)

    def act_greedy(observation: tf.Tensor) -> dict[str, tf.Tensor]:
        read = read_rows(observation)
        action = tf.argmax(read.log_probs, -1, output_type=tf.int32)
        is_none = tf.math.is_nan(_marks_of(read))
        return {"action": _no_action(is_none, action)}

    def probabilities(observation: tf.Tensor) -> dict[str, tf.Tensor]:
        read = read_rows(observation)
        mark = tf.expand_dims(read.mark, 1)
        return {PROBABILITIES: read.probabilities + mark}

    def log_prob(
        observation: tf.Tensor, action: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        read = read_rows(observation)
        is_none = tf.math.is_nan(_marks_of(read))
        rows = tf.cast(is_none, action.dtype)[:, tf.newaxis]
        found = _entry(read.log_probs, action, rows)
        return {"log_prob": nan_for(is_none, found)}

    action = tf.TensorSpec([None], tf.int32, "action")
    return {
        "act": Signature(act, [observation, SEEDS], [observation, SEED]),
        "act_greedy": Signature(act_greedy, [observation]),
        PROBABILITIES: Signature(probabilities, [observation]),
        "log_prob": Signature(log_prob, [observation, action]),
    }


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
    """Returns log-probabilities and added rows, `[B + 15, A]`."""
    if not _holds_logits(distribution):
        log_probs = whole_rows(all_log_probs(distribution, num_actions))
        return with_added_rows(log_probs)
    logits = with_added_rows(distribution.logits)
    return all_log_probs(type(distribution)(logits=logits), num_actions)


def _holds_logits(distribution: Distribution) -> bool:
    """Returns whether probabilities are a softmax or a sigmoid of logits."""
    is_known = type(distribution) in (Bernoulli, Categorical)
    return is_known and distribution.logits is not None


def _marks_of(read: Reading) -> tf.Tensor:
    """Returns NaN where the observation or a log-probability is, `[B]`."""
    return read.mark + tf.reduce_sum(read.log_probs, axis=-1)


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
    return tf.where(where, tf.constant(-1, action.dtype), action)


def _entry(
    log_probs: tf.Tensor, action: tf.Tensor, rows: tf.Tensor
) -> tf.Tensor:
    """Returns `log_probs[b, action[b]]`, NaN if there is no such action.

    A gather would fail there on a CPU, and return 0 on a GPU. `rows` is int32
    `[B, 1]`, see `same_rows`.
    """
    num_actions = log_probs.shape[-1]
    column = same_rows(action[:, tf.newaxis], rows)
    nothing = tf.constant(float("-inf"), log_probs.dtype)
    chosen = tf.where(column == tf.range(num_actions), log_probs, nothing)
    is_none = (action < 0) | (action >= num_actions)
    return nan_for(is_none, tf.reduce_max(chosen, axis=-1))
