"""Whether a policy can be differentiated twice: measured, not believed.

Some layers give right outputs and gradients and wrong second derivatives,
without an error: they hold constant what drops out of the first derivative
only.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dice_tf.models import SeatModel, Weights, observation_spec
from dice_tf.policies.second_derivatives import TOLERANCES, hessian_error
from dice_tf.recurrent_models import seat_model

# Of Keras' own layers, those whose call contains such a part.
KNOWN = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
)

_REMEDY = (
    "Use dice_tf.layers.SafeLayerNormalization, which has the arguments and "
    "weights of LayerNormalization, or keras.layers.RMSNormalization. "
    "BatchNormalization is right in inference mode only (training=False). In "
    "code of your own, tf.math.reduce_variance takes the place of "
    "keras.ops.moments, keras.ops.layer_normalization and tf.nn.moments; look "
    "for stop_gradient and custom gradients too."
)


def check_policy(policy: keras.Model, observations: Any = None) -> float:
    """Checks that a policy may be differentiated twice.

    Shaping learners (LOLA, LOLA-DiCE, SOS, ...) differentiate gradients. With
    some layers second derivatives are wrong without an error, those of Keras'
    `LayerNormalization` for example by 5 to 30 per cent. Here the Hessian of
    the outputs in the policy's parameters, times a random vector, is computed
    by two nested tapes and compared with differences of gradients. Inner
    layers of all kinds, and those of your own, are part of it; the head is
    not. The policy's parameters are left as they are.

    The check finds errors of the second derivatives from about 1 per cent in
    float32, and from about 0.01 per cent in float64. It does not find what is
    wrong at the third order only, which learners such as `HOLA` use: nothing
    beyond the second derivatives is measured.

    Objectives refuse such policies when they are made, if they hold a
    layer that is known to be wrong or code that is not Keras'. Critics may
    have any layers: they enter values as constants, and their losses are
    differentiated once.

    Args:
      policy: a built `keras.Model` from observations to its outputs, in
        float32 or float64 (where the check is sharper).
      observations: `[B, ...]`, such as the policy sees. Default: 8 drawn from
        N(0, 1) in the shape that the policy was built with.

    Returns:
      The relative error of the Hessian's product that was measured, about
      1e-5 in float32; 0 for a policy without trainable parameters.

    Raises:
      TypeError: if `policy` is no `keras.Model`.
      ValueError: if its second derivatives are wrong, with the layers that
        may be the cause; or if nothing can be measured, as in half precision
        or if the policy's outputs are random.

    Example:
      >>> dice_tf.check_policy(my_policy)
    """
    if observations is None:
        spec = observation_spec(policy, argument="observations")
        observations = example_observations(spec.shape[1:], spec.dtype)
    observations = tf.convert_to_tensor(observations)
    model = seat_model(
        "policy", policy, observations.shape[1:], observations.dtype
    )
    observations = model.sequence(observations)
    error = _error(model, observations)
    if error is None:
        raise ValueError(
            f"`policy` ({policy.name!r}) cannot be checked: its outputs must "
            "be finite, in float32 or float64, and the same whenever it is "
            "called."
        )
    _refuse(model, observations, error)
    return error


def example_observations(shape: Sequence, dtype: tf.DType) -> tf.Tensor:
    """Returns 8 observations from N(0, 1), their free axes of size 4."""
    drawn = np.random.default_rng(0).normal(size=[8, *(n or 4 for n in shape)])
    return tf.cast(drawn if dtype.is_floating else np.abs(drawn), dtype)


def check_seat(model: SeatModel, observations: tf.Tensor) -> None:
    """Raises if a policy in a seat has wrong second derivatives.

    Measured only where there is a reason: a layer that is known for it, or
    code that is neither Keras' nor ours. Nothing is checked in a graph.

    Args:
      model: the policy.
      observations: `[B, *observation_shape]`, such as the seat sees.

    Raises:
      ValueError: if second derivatives are wrong.
    """
    if not tf.executing_eagerly() or not suspects(model.model):
        return
    observations = model.sequence(observations)
    error = _error(model, observations)
    if error is not None:
        _refuse(model, observations, error)


def _refuse(model: SeatModel, observations: tf.Tensor, error: float) -> None:
    dtype = model(model.weights(), observations).dtype
    if error <= TOLERANCES[dtype]:
        return
    found = suspects(model.model)
    cause = f" The cause may be {', '.join(found)}." if found else ""
    raise ValueError(
        f"`{model.name}` ({model.model.name!r}) cannot be differentiated "
        "twice, as learners that shape their opponents do: the second "
        f"derivatives of its outputs are wrong by {error:.0%}.{cause} "
        f"{_REMEDY} A policy that is not to learn may be left as it is, with "
        "its `trainable` set to False."
    )


def suspects(model: keras.Model) -> list[str]:
    """Returns what may have wrong second derivatives, described for errors.

    These are the layers of `KNOWN`, layers whose code is neither Keras' nor
    ours, and operations on tensors that are no layers.
    """
    found: dict[int, str] = {}
    # What Keras itself walks through layers of any kind with.
    for layer in model._flatten_layers():
        for part in (layer, *getattr(layer, "operations", ())):
            kind = type(part)
            ours = kind.__module__.split(".")[0] in ("keras", "dice_tf")
            is_plain = isinstance(part, keras.layers.Layer) and ours
            is_lambda = isinstance(part, keras.layers.Lambda)
            if is_plain and not is_lambda and kind not in KNOWN:
                continue
            found[id(part)] = f"{kind.__name__} {part.name!r}"
    return list(found.values())


def _error(model: SeatModel, observations: tf.Tensor) -> float | None:
    """Measures the error, 0 without parameters, `None` where it cannot."""
    weights = model.weights()
    if not weights.params:
        return 0.0
    outputs = model(weights, observations)
    computed = {
        tf.as_dtype(layer.compute_dtype)
        for layer in model.model._flatten_layers()
    }
    if not computed | {outputs.dtype} <= TOLERANCES.keys():
        return None
    # One random combination of the outputs sees them all.
    drawn = np.random.default_rng(2).normal(size=outputs.shape)
    mixture = tf.cast(drawn, outputs.dtype)

    def combined(params: list[tf.Tensor]) -> tf.Tensor:
        own = Weights(params, weights.non_trainable)
        return tf.reduce_sum(mixture * model(own, observations))

    return hessian_error(combined, weights.params)
