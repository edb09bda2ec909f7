"""Keras layers whose derivatives are right at every order, and with memory.

Some of Keras' own are right to the first order only; `dice_tf.check_policy`
finds them. Keras' layers with memory take a turn of a loop for each step; a
`MemoryLayer` evaluates whole sequences at once. Two layers show networks the
Coin Game as its players see it.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from dice_tf.checks import check_whole_number
from dice_tf.models.coin_layers import ByCoinMemory, SeenFromPlayer
from dice_tf.models.memory_layers import (
    MemoryLayer,
    MemoryNetwork,
    MinGRU,
    StackedObservations,
)

__all__ = [
    "ByCoinMemory",
    "MemoryLayer",
    "MemoryNetwork",
    "MinGRU",
    "SafeLayerNormalization",
    "SeenFromPlayer",
    "StackedObservations",
]

# More than a tensor can have.
MOST_AXES = 254


@keras.saving.register_keras_serializable(package="dice_tf")
class SafeLayerNormalization(keras.layers.LayerNormalization):
    """Layer normalisation that can be differentiated any number of times.

    `gamma (x - mean(x)) / sqrt(variance(x) + epsilon) + beta`, mean and
    variance over `axis`. Its values and first derivatives are those of
    `keras.layers.LayerNormalization`, whose arguments and weights it takes.
    That one holds the mean constant inside of the variance: the first
    derivative loses nothing by it, since deviations sum to 0, but the second
    one does. Shaping learners, such as LOLA and LOLA-DiCE, need the second.

    Args:
      axis: the axis or axes to normalise, -1 by default.
      **kwargs: as of `keras.layers.LayerNormalization`.

    Raises:
      TypeError, ValueError: if `axis` is not a whole number, or a list of such.
      ValueError: if `rms_scaling` is asked for, which Keras deprecates; use
        `keras.layers.RMSNormalization`, which is right at every order.

    Example:
      >>> inputs = keras.Input((5,))
      >>> x = keras.layers.Dense(64, activation="tanh")(inputs)
      >>> x = dice_tf.layers.SafeLayerNormalization()(x)

    References:
      Ba et al. 2016 (Layer Normalization).
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any):
        if kwargs.get("rms_scaling"):
            raise ValueError(
                "SafeLayerNormalization has no `rms_scaling`. Use "
                "keras.layers.RMSNormalization instead."
            )
        axes = axis if isinstance(axis, (list, tuple)) else [axis]
        for number in axes:
            check_whole_number("axis", number, -MOST_AXES, MOST_AXES)
        super().__init__(axis=axis, **kwargs)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the inputs normalised, in the layer's compute dtype."""
        # In half precision, squares overflow and small variances vanish.
        dtype = tf.float32 if inputs.dtype.size < 4 else inputs.dtype
        x = tf.cast(inputs, dtype)
        mean = tf.reduce_mean(x, axis=self.axis, keepdims=True)
        centred = x - mean
        variance = tf.reduce_mean(
            tf.square(centred), axis=self.axis, keepdims=True
        )
        outputs = centred * tf.math.rsqrt(variance + self.epsilon)
        if self.gamma is not None:
            outputs *= self._along_axes(self.gamma, x)
        if self.beta is not None:
            outputs += self._along_axes(self.beta, x)
        return tf.cast(outputs, self.compute_dtype)

    def _along_axes(self, variable: keras.Variable, x: tf.Tensor) -> tf.Tensor:
        """Reshapes a weight so that it broadcasts along the axes it is of."""
        shape = [1] * x.shape.rank
        for axis, size in zip(self.axis, variable.shape, strict=True):
            shape[axis] = size
        return tf.reshape(tf.cast(variable, x.dtype), shape)
