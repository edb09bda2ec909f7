"""Probabilities and draws in files for other runtimes.

A small network answers in microseconds, of which each operation takes a
noticeable part. So there are few, and those that a runtime is fast at.

Action a is drawn where the noise is at least the sum of the probabilities
before a, and below that sum with a. Rounding may leave the sum of all
probabilities below 1. The noise is therefore made smaller by
`rounding_slack`, one to three millionths, and never draws an action of
probability 0.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from dice_tf.policies.sampling import FEW_ACTIONS, rounding_slack
from dice_tf.policies.signatures import (
    PROBABILITIES,
    Reading,
    choose,
    in_rows,
    nan_for,
    nan_of_rows,
)

# Names of formats in errors.
TFLITE, ONNX = "TFLite", "ONNX"

# `onnx_file` finds the product that marks rows by this name.
MARKS = "marks_of_rows"


def in_checked_shape(
    file_format: str,
    observation: tf.Tensor,
    function: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> tf.Tensor:
    """Applies a function to the rows of observations, of the right shape only.

    ONNX runtimes check the shapes of inputs. TensorFlow Lite checks shapes in
    concatenations: one more row, which is left out of the result, makes it
    refuse others.

    Args:
      file_format: `TFLITE` or `ONNX`.
      observation: `[B, ...]`.
      function: from `[N, ...]` to `[N, ...]`, row by row.

    Returns:
      `function(observation)`.
    """
    shape = observation.shape[1:]
    if file_format == ONNX or not shape.is_fully_defined():
        return function(observation)
    row = tf.zeros([1, *shape], observation.dtype)
    return function(tf.concat([observation, row], axis=0))[:-1]


def probabilities_in_file(
    file_format: str, observation: tf.Tensor, logits: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns a softmax, NaN in rows whose observation is not finite.

    Args:
      file_format: `TFLITE` or `ONNX`.
      observation: `[B, ...]`.
      logits: `[B, A]`.

    Returns:
      `probabilities`, `[B, A]`.
    """
    marks = _marks(observation, logits.shape[-1], logits.dtype, file_format)
    return {PROBABILITIES: tf.nn.softmax(marks + logits)}


def draw_in_file(
    file_format: str,
    observation: tf.Tensor,
    logits: tf.Tensor,
    noise: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Returns the actions that uniform noise draws, by inversion.

    Args:
      file_format: `TFLITE` or `ONNX`.
      observation: `[B, ...]`.
      logits: `[B, A]`.
      noise: `[B]`, uniform on [0, 1], where a millionth less or more may be
        taken for 0 or 1; another length is an error.

    Returns:
      `action`, int32 `[B]`, and its `log_prob`, `[B]`; -1 and NaN where the
      observation, a logit or the noise makes no sense.
    """
    noise = tf.cast(noise, logits.dtype)
    # The ONNX converter takes logarithms in single precision.
    if logits.shape[-1] > FEW_ACTIONS or logits.dtype == tf.float64:
        return _draw_exactly(file_format, observation, logits, noise)
    draw = {TFLITE: _draw_in_tflite, ONNX: _draw_in_onnx}[file_format]
    return draw(observation, logits, noise)


def _draw_in_tflite(
    observation: tf.Tensor, logits: tf.Tensor, noise: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Draws by what is fast in TensorFlow Lite on CPUs.

    XNNPACK computes this exponential in less than half the time of a softmax of
    few actions. It makes 0 of NaN, so that no sum is above the noise.
    """
    dtype, num_actions = logits.dtype, logits.shape[-1]
    scale = _negative_scale(num_actions)
    # One row of noise would be broadcast to all, but not in a concatenation.
    columns = tf.concat(
        [
            tf.expand_dims(noise * scale, 1),
            _mark(observation, dtype, TFLITE) + scale,
            tf.exp(tf.nn.log_softmax(logits)),
        ],
        axis=1,
    )
    are_above = _are_above(columns)
    # Sums of whole numbers and tables are slow, and a product is not. It counts
    # down from the last column to that of the action. It stays at the second
    # column, which stands for no action, if nothing is above the noise, and if
    # everything is.
    weights = np.full([num_actions + 2, 1], -1.0)
    weights[0], weights[-1] = 0.0, num_actions
    number = tf.matmul(tf.cast(are_above, dtype), tf.constant(weights, dtype))
    number = tf.squeeze(number + tf.constant([1.0], dtype), 1)
    return {
        "action": tf.cast(number - 2.0, tf.int32),
        "log_prob": _log_chosen(columns, tf.cast(number, tf.int32)),
    }


def _draw_in_onnx(
    observation: tf.Tensor, logits: tf.Tensor, noise: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Draws by few operations, which is fast in ONNX Runtime."""
    num_actions = logits.shape[-1]
    scale = tf.constant([_negative_scale(num_actions)], logits.dtype)
    marked = _marks(observation, 1, logits.dtype, ONNX) + scale
    # Products and concatenations take some wrong numbers of rows.
    noise = tf.reshape(noise, tf.shape(marked, tf.int64))
    columns = tf.concat([marked, noise * marked, tf.nn.softmax(logits)], axis=1)
    are_above = tf.cast(_are_above(columns), tf.int32)
    # From how many sums are above the noise, two tables tell the action and its
    # column. There is no action if none is, and if all are.
    count = tf.reduce_sum(are_above, axis=1)
    actions = [-1, *reversed(range(num_actions)), -1]
    numbers = [0, *reversed(range(2, num_actions + 2)), 0]
    # The runtime's indices have 64 bits.
    number = tf.gather(tf.constant(numbers, tf.int64), count)
    return {
        "action": tf.gather(tf.constant(actions, tf.int32), count),
        "log_prob": _log_chosen(columns, number),
    }


def _negative_scale(num_actions: int) -> float:
    """Returns -(1 - slack): the noise times this is compared with sums.

    It is negative and has no logarithm, so that it stands for the probability
    of no action.
    """
    return rounding_slack(num_actions) - 1.0


def _are_above(columns: tf.Tensor) -> tf.Tensor:
    """Returns which sums of probabilities are above the noise.

    Args:
      columns: `[B, A + 2]`: `_negative_scale` or NaN, and the noise times that,
        in any order; then the probabilities of A actions.

    Returns:
      Bool `[B, A + 2]`: first what does not count, then whether the noise is
      below 0, then whether the sum of the probabilities up to each action is
      above the noise. If it is for one action, it is for all that follow, since
      each sum is the one before and a probability. Nothing is above NaN.
    """
    num_actions = columns.shape[-1] - 2
    sums = tf.cumsum(columns, axis=1)
    return sums > tf.constant(_negative_scale(num_actions), columns.dtype)


def _log_chosen(columns: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Returns the logarithm of one entry of each row, `[B]`."""
    return tf.math.log(tf.gather(columns, number, axis=1, batch_dims=1))


def _draw_exactly(
    file_format: str,
    observation: tf.Tensor,
    logits: tf.Tensor,
    noise: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """Draws without slack, which would be too large for many actions."""
    log_probs = tf.nn.log_softmax(logits)
    mark = tf.squeeze(_mark(observation, logits.dtype, file_format), 1)
    noise = in_rows(noise, mark, [])
    # Compilers rewrite `not (x >= 0)` as `x < 0`, which is false for NaN.
    is_strange = (noise < 0.0) | (noise > 1.0) | tf.math.is_nan(noise)
    mark = nan_for(is_strange, mark)
    return choose(Reading(log_probs, tf.exp(log_probs), mark), noise)


def _mark(
    observation: tf.Tensor, dtype: tf.DType, file_format: str
) -> tf.Tensor:
    """Returns NaN for rows that are not finite and 0 for others, `[B, 1]`."""
    return in_checked_shape(
        file_format,
        observation,
        lambda rows: tf.expand_dims(nan_of_rows(rows, dtype), 1),
    )


def _marks(
    observation: tf.Tensor, num: int, dtype: tf.DType, file_format: str
) -> tf.Tensor:
    """Returns NaN for rows that are not finite and 0 for others, `[B, num]`.

    Numbers times 0 are 0, but for NaN and infinities: that is NaN. Runtimes
    take less time for a product than for a sum of differences, but TensorFlow
    Lite does not for a single column.
    """
    size = observation.shape[1:].num_elements()
    if not size or observation.dtype.size > dtype.size:
        return tf.tile(_mark(observation, dtype, file_format), [1, num])

    def times_zero(rows: tf.Tensor) -> tf.Tensor:
        flat = tf.cast(tf.reshape(rows, [-1, size]), dtype)
        return tf.matmul(flat, tf.zeros([size, num], dtype), name=MARKS)

    return in_checked_shape(file_format, observation, times_zero)
