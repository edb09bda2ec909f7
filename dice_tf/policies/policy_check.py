"""Whether a policy can be differentiated twice: measured, not believed.

Some layers give right outputs and gradients and wrong second derivatives,
without an error: they hold constant what drops out of the first derivative
only.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dice_tf.checks import as_floats, check_model, naming_given
from dice_tf.distributions import Distribution
from dice_tf.models.recurrent_models import seat_model
from dice_tf.models.seat_models import (
    SeatModel,
    Weights,
    all_layers,
    observation_spec,
)
from dice_tf.policies.action_masks import MaskedHead, masked_head
from dice_tf.policies.attachments import plain_class
from dice_tf.policies.heads import Head, attached_head
from dice_tf.policies.second_derivatives import TOLERANCES, hessian_error

# Of Keras' own layers, those whose call contains such a part. The last three
# resize images: TensorFlow's gradient of that has no right derivative.
KNOWN = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.CenterCrop,
    keras.layers.Resizing,
    keras.layers.UpSampling2D,
)

_REMEDY = (
    "Use dice_tf.layers.SafeLayerNormalization, which has the arguments and "
    "weights of LayerNormalization, or keras.layers.RMSNormalization. "
    "BatchNormalization is right in inference mode only (training=False). In "
    "code of your own, tf.math.reduce_variance takes the place of "
    "keras.ops.moments, keras.ops.layer_normalization and tf.nn.moments; look "
    "for stop_gradient, custom gradients and tf.image.resize too."
)


def check_policy(policy: keras.Model, observations: Any = None) -> float:
    """Checks that a policy may be differentiated twice.

    Shaping learners (LOLA, LOLA-DiCE, SOS, ...) differentiate gradients. With
    some layers second derivatives are wrong without an error, those of Keras'
    `LayerNormalization` for example by 5 to 30 per cent. Here the Hessian of
    the outputs in the policy's parameters, times a random vector, is computed
    by two nested tapes and compared with differences of gradients. Inner
    layers of all kinds, and those of your own, are part of it. With an
    attached head (`dice_tf.policies.with_head`) it is the Hessian of
    log-probabilities of actions. The policy's parameters are left as they are.

    The check finds errors of the second derivatives from about 1 per cent in
    float32, and from about 0.01 per cent in float64. It does not find what is
    wrong at the third order only, which learners such as `HOLA` use: nothing
    beyond the second derivatives is measured.

    Objectives refuse such policies when they are made, if they hold a
    layer that is known to be wrong or call code that is not Keras', as an
    activation or an attached head may be. Critics may have any layers: they
    enter values as constants, and their losses are differentiated once.

    Args:
      policy: a built `keras.Model` from observations to its outputs, in
        float32 or float64 (where the check is sharper).
      observations: `[B, ...]`, such as the policy sees. Default: 8 drawn from
        N(0, 1) in the shape that the policy was built with.

    Returns:
      The relative error of the Hessian's product that was measured, about
      1e-5 in float32; 0 for a policy without trainable parameters.

    Raises:
      TypeError: if `policy` is not a `keras.Model`.
      ValueError: if its second derivatives are wrong, with the layers that
        may be the cause; or if nothing can be measured, as in half precision
        or if the policy's outputs are random.

    Example:
      >>> bool(dice_tf.check_policy(policy) < 1e-3)
      True
    """
    check_model("policy", policy)
    given = observations
    if observations is None:
        observations = _shown_to(policy)
    observations = as_floats("observations", observations)
    if observations.shape.rank == 0:
        raise ValueError(
            "`observations` must have shape [B, ...]. Received a scalar."
        )
    with naming_given("observations", given, "what the policy sees"):
        model = seat_model(
            "policy",
            policy,
            observations.shape[1:],
            observations.dtype,
            is_seated=False,
        )
    sequence = model.sequence(observations)
    head = attached_head(policy)
    read = None if head is None else masked_head(head, None)
    error = _error(model, sequence, read)
    if error is None:
        raise ValueError(
            f"`policy` ({policy.name!r}) cannot be checked: its outputs must "
            "be finite, in float32 or float64, and the same whenever it is "
            "called."
        )
    _refuse(model, sequence, error, head)
    # With fixed generators, noise would look repeatable above.
    model.check_repeatable(observations)
    return error


def check_unseated(name: str, policy: keras.Model) -> None:
    """Raises if a policy that has no seat yet cannot be learned from play.

    Args:
      name: how errors name it.
      policy: a built `keras.Model`.

    Raises:
      ValueError: as of `check_seat`.
    """
    observations = _shown_to(policy)
    shape = observations.shape[1:]
    model = seat_model(name, policy, shape, observations.dtype, is_seated=False)
    head = attached_head(policy)
    read = None if head is None else masked_head(head, None)
    check_seat(model, observations, head, read)


def _shown_to(policy: keras.Model) -> tf.Tensor:
    """Returns observations of the shape that a model was built with."""
    spec = observation_spec(policy, argument="observations")
    return example_observations(spec.shape[1:], spec.dtype)


def example_observations(shape: Sequence, dtype: tf.DType) -> tf.Tensor:
    """Returns 8 observations from N(0, 1), their free axes of size 4."""
    drawn = np.random.default_rng(0).normal(size=[8, *(n or 4 for n in shape)])
    return tf.cast(drawn if dtype.is_floating else np.abs(drawn), dtype)


def check_seat(
    model: SeatModel,
    observations: tf.Tensor,
    head: Head | None = None,
    read: MaskedHead | None = None,
) -> None:
    """Raises if a policy in a seat cannot be learned from play.

    Second derivatives are measured only where there is a reason: a layer that
    is known for wrong ones, or code that is neither Keras' nor ours. Nothing
    is checked in a graph.

    Args:
      model: the policy.
      observations: `[B, *observation_shape]`, such as the seat sees.
      head: the one attached to the policy, if there is one.
      read: from outputs and observations to distributions, as in the seat.

    Raises:
      ValueError: if outputs do not follow the weights, or follow anything
        but weights and observations, or second derivatives are wrong.
    """
    if not tf.executing_eagerly():
        return
    model.check_follows_weights(tf.ones_like(observations[:1]))
    model.check_repeatable(observations)
    if head is None or read is None or _is_trusted(head):
        read = None
    else:
        _check_head(model, observations, read)
    if read is None and not suspects(model.model):
        return
    observations = model.sequence(observations)
    error = _error(model, observations, read)
    if error is not None:
        _refuse(model, observations, error, head if read else None)


def _check_head(
    model: SeatModel, observations: tf.Tensor, read: MaskedHead
) -> None:
    """Raises if what a head returns follows anything but the outputs."""
    state = model.initial_state(observations.shape[0])
    outputs, _ = model.step(model.weights(), observations, state)
    distribution = read(outputs, observations)
    actions = _some_actions(distribution)
    dtype = distribution.log_prob(actions).dtype
    if dtype != outputs.dtype and outputs.dtype in TOLERANCES:
        raise ValueError(
            f"The head attached to `{model.name}` ({model.model.name!r}) must "
            "return a distribution with log-probabilities of the dtype of the "
            f"outputs that it reads, {outputs.dtype.name}. Received "
            f"{dtype.name}: cast with tf.cast(x, outputs.dtype) in the head."
        )

    def log_probs(first: int) -> np.ndarray:
        distribution = read(outputs[first:], observations[first:])
        seen = tf.nest.map_structure(lambda x: x[:, first:], actions)
        return np.asarray(distribution.log_prob(seen))[:, -1:]

    last = len(observations) - 1
    expected = log_probs(0)
    for found in (log_probs(0), log_probs(last)):
        if not np.allclose(found, expected, 1e-3, 1e-3, equal_nan=True):
            raise ValueError(
                f"The head attached to `{model.name}` ({model.model.name!r}) "
                "gives other distributions for the same outputs, whenever it "
                "is called or beside other outputs. Log-probabilities are "
                "computed again after a play: a head must be a function of "
                "one observation's outputs alone. What is to be random "
                "belongs in the distribution that it returns."
            )


def _refuse(
    model: SeatModel,
    observations: tf.Tensor,
    error: float,
    head: Head | None = None,
) -> None:
    outputs = model(model.weights(), observations)
    # The outputs have the dtype of the game, which may be the finer one.
    variables = model.model.trainable_variables
    dtypes = {outputs.dtype, *(tf.as_dtype(v.dtype) for v in variables)}
    if error <= max(TOLERANCES[dtype] for dtype in dtypes):
        return
    found = suspects(model.model)
    found += [f"the attached head {_name(head)}"] if head else []
    cause = f" The cause may be {', '.join(found)}." if found else ""
    subject = "log-probabilities" if head else "outputs"
    raise ValueError(
        f"`{model.name}` ({model.model.name!r}) cannot be differentiated "
        "twice, as learners that shape their opponents do: the second "
        f"derivatives of its {subject} are wrong by {error:.0%}.{cause} "
        f"{_REMEDY} A policy that is not to learn may be left as it is, with "
        "its `trainable` set to False."
    )


def suspects(model: keras.Model) -> list[str]:
    """Returns what may have wrong second derivatives, described for errors.

    These are the layers of `KNOWN`, layers whose code is neither Keras' nor
    ours, Keras' layers that hold such code (an activation, for example), and
    operations on tensors that are not layers.
    """
    found: dict[int, str] = {}
    for layer in all_layers(model):
        for part in (layer, *getattr(layer, "operations", ())):
            kind = plain_class(part)
            name = f"{kind.__name__} {part.name!r}"
            is_layer = isinstance(part, keras.layers.Layer)
            is_lambda = isinstance(part, keras.layers.Lambda)
            is_plain = is_layer and not is_lambda and _is_trusted(kind)
            if not is_plain or kind in KNOWN:
                found[id(part)] = name
            elif held := _foreign_code(part):
                found[id(part)] = f"{name} with {held}"
    return list(found.values())


def _foreign_code(part: Any) -> str:
    """Returns the names of functions that a layer holds and may call."""
    held = [
        value
        for name, attribute in vars(part).items()
        # These act when weights are made or updated, and not in a call.
        if not name.endswith(("initializer", "regularizer", "constraint"))
        for value in keras.tree.flatten(attribute)
        # Layers in layers are looked at by themselves.
        if callable(value) and not isinstance(value, keras.Operation)
    ]
    held.append(type(part).call)
    return ", ".join(_name(value) for value in held if not _is_trusted(value))


def _is_trusted(code: Any) -> bool:
    """Returns whether a class, a function or a callable is Keras' or ours."""
    if inspect.ismethod(code):
        code = code.__func__
    if inspect.isfunction(code):
        # Unlike `__module__` this is not copied by functools.wraps.
        module = code.__globals__["__name__"]
    else:
        kind = code if isinstance(code, type) else type(code)
        module = kind.__module__
    return module.split(".")[0] in ("keras", "dice_tf")


def _name(code: Any) -> str:
    return getattr(code, "__name__", type(code).__name__)


def _some_actions(
    distribution: Distribution,
) -> Any:
    """Returns actions `[4, ..., B, *action_shape]`, drawn and held constant.

    They are a tensor, or a nest of tensors if a distribution has several parts.
    """
    drawn = distribution.sample(4, seed=tf.constant([1, 2]))
    return tf.nest.map_structure(tf.stop_gradient, drawn)


def _error(
    model: SeatModel,
    observations: tf.Tensor,
    read: MaskedHead | None = None,
) -> float | None:
    """Measures the error, 0 without parameters, `None` where it cannot.

    It is that of the outputs, or of log-probabilities where a head reads them.
    """
    weights = model.weights()
    outputs = model(weights, observations)
    # Where outputs are linear, derivatives stay finite. Logits of -inf are
    # those of actions that are never taken.
    if not np.all(tf.cast(outputs, tf.float32) < np.inf):
        return None
    if not weights.params:
        return 0.0
    actions = None
    if read is not None:
        actions = _some_actions(read(outputs, observations))

    def evaluate(weights: Weights) -> tf.Tensor:
        outputs = model(weights, observations)
        if read is None:
            return outputs
        return read(outputs, observations).log_prob(actions)

    outputs = evaluate(weights)
    computed = {
        tf.as_dtype(layer.compute_dtype) for layer in all_layers(model.model)
    }
    if not computed | {outputs.dtype} <= TOLERANCES.keys():
        return None
    # One random combination of the outputs sees them all.
    drawn = np.random.default_rng(2).normal(size=outputs.shape)
    mixture = tf.cast(drawn, outputs.dtype)

    def combined(params: list[tf.Tensor]) -> tf.Tensor:
        moved = weights._replace(params=params)
        return tf.reduce_sum(mixture * evaluate(moved))

    try:
        return hessian_error(combined, weights.params)
    except LookupError as error:
        raise ValueError(
            f"`{model.name}` ({model.model.name!r}) cannot be differentiated "
            "twice, as learners that shape their opponents do: TensorFlow "
            f"has no second derivative of one of its operations ({error})."
        ) from error
