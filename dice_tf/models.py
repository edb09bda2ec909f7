"""Keras models as pure functions of their weights."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from dice_tf.replicas import to_replicas


class Weights(NamedTuple):
    """Values for the variables of a model.

    Attributes:
      params: list of tensors, for the trainable variables.
      non_trainable: list of tensors, for the others.
    """

    params: list[tf.Tensor]
    non_trainable: list[tf.Tensor]


class SeatModel:
    """A Keras model that takes the observations of a seat.

    Args:
      name: how errors name the model.
      model: a `keras.Model` from one batch of observations to one tensor.
      observation_shape: shape of one observation.
      dtype: floating dtype of the observations.

    Attributes:
      model: the model.
      name: how errors name it.
      num_outputs: size of the last axis of its output.
      has_memory: whether it carries a state from step to step.

    Raises:
      RuntimeError: if Keras does not run on TensorFlow.
      TypeError: if `model` is not a `keras.Model`.
      ValueError: if it does not take such observations.
    """

    has_memory = False

    def __init__(
        self,
        name: str,
        model: keras.Model,
        observation_shape: tuple[int, ...],
        dtype: tf.DType,
    ):
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                "dice_tf needs Keras on TensorFlow, but Keras runs on "
                f"{keras.backend.backend()!r}. Set the environment variable "
                "KERAS_BACKEND=tensorflow before Keras is imported."
            )
        if not isinstance(model, keras.Model):
            raise TypeError(
                f"`{name}` must be a keras.Model that takes observations. "
                f"Received: {model!r} (of type {type(model).__name__})."
            )
        self.model = model
        self.name = name
        self._observation_shape = tuple(observation_shape)
        try:
            outputs = self._first_outputs(
                tf.zeros([1, *observation_shape], dtype)
            )
        except Exception as error:
            raise ValueError(
                f"`{name}` ({model.name!r}) must take observations of shape "
                f"[B, ...] = {(None, *observation_shape)}, as its seat has "
                f"them, but fails on them: {error}"
            ) from error
        shape = getattr(outputs, "shape", None)
        if shape is None or len(shape) != 2:
            raise ValueError(
                f"`{name}` ({model.name!r}) must return one tensor of shape "
                f"[B, num_outputs]. Received: {shape or type(outputs)}."
            )
        self.num_outputs = int(shape[-1])

    def _first_outputs(self, observations: tf.Tensor) -> Any:
        """Calls the model as Keras does, which builds its weights."""
        return self.model(observations)

    def check_follows_weights(self, observations: tf.Tensor) -> None:
        """Raises if the model's outputs ignore the weights they are given.

        A model that calls a `tf.function` of its own, once that is traced,
        reads its variables whatever `stateless_call` is given: its gradients
        would be lost without an error. Nothing is checked in a graph.

        Args:
          observations: `[B, *observation_shape]`, such as the seat sees.

        Raises:
          ValueError: if other weights give the same outputs.
        """
        weights = self.weights()
        if not weights.params or not tf.executing_eagerly():
            return
        # Not one constant for all: layers may be blind to a common shift.
        moved = [
            param + tf.cast(tf.reshape(_waves(param), param.shape), param.dtype)
            for param in weights.params
        ]
        before = self(weights, observations)
        after = self(weights._replace(params=moved), observations)
        if np.array_equal(before, after):
            raise ValueError(
                f"`{self.name}` ({self.model.name!r}) gives the same outputs "
                "whatever its weights, so that it would never learn. If it "
                "calls a tf.function of its own, leave out the decorator: "
                "the trainer compiles it anyway. If it is to stay as it is, "
                "set its `trainable` to False."
            )

    def weights(self) -> Weights:
        """Returns the current values of the model's variables."""
        model = self.model
        return Weights(
            [tf.convert_to_tensor(v) for v in model.trainable_variables],
            [tf.convert_to_tensor(v) for v in model.non_trainable_variables],
        )

    def initial_state(self, batch_size: int) -> list[tf.Tensor]:
        """Returns what is remembered before the first step: states of zeros.

        Args:
          batch_size: B.

        Returns:
          A list of tensors `[B, ...]`, empty without memory.
        """
        del batch_size
        return []

    def step(
        self, weights: Weights, observations: tf.Tensor, state: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Evaluates the model at one step of episodes.

        Args:
          weights: values for the model's variables.
          observations: `[B, *observation_shape]`.
          state: what `initial_state` or the last step returned.

        Returns:
          `[B, num_outputs]`, and the state that follows.
        """
        return self(weights, observations), state

    def sequence(self, observations: tf.Tensor) -> tf.Tensor:
        """Returns observations `[B, ...]` over which memory shows.

        Without memory, as they are; else `[T, B, ...]`.
        """
        return observations

    def __call__(self, weights: Weights, observations: tf.Tensor) -> tf.Tensor:
        """Evaluates the model with the given weights.

        Args:
          weights: values for the model's variables.
          observations: `[..., *observation_shape]`, any leading axes.

        Returns:
          `[..., num_outputs]`, differentiable in the weights.
        """
        num_leading = observations.shape.rank - len(self._observation_shape)
        leading = observations.shape[:num_leading]
        flat = tf.reshape(observations, [-1, *self._observation_shape])
        outputs, _ = self.model.stateless_call(
            weights.params, weights.non_trainable, flat
        )
        if not leading.is_fully_defined():
            leading = tf.shape(observations)[:num_leading]
        return tf.reshape(
            outputs, tf.concat([leading, [self.num_outputs]], axis=0)
        )


def check_finite_weights(name: str, model: keras.Model) -> None:
    """Raises if a weight is NaN, or a trainable one infinite.

    Args:
      name: how the error names the model.
      model: a built `keras.Model`.

    Raises:
      ValueError: naming the weight. Infinite constants are allowed: they may
        be a mask.
    """
    trainable = {id(variable) for variable in model.trainable_variables}
    for variable in model.weights:
        values = variable.numpy()
        if not np.issubdtype(values.dtype, np.floating):
            continue
        wrong = np.isnan(values)
        if id(variable) in trainable:
            wrong = ~np.isfinite(values)
        if np.any(wrong):
            raise ValueError(
                f"`{name}` ({model.name!r}) must give finite probabilities "
                f"(or values), and {np.sum(wrong)} of the {wrong.size} numbers "
                f"in its weight {variable.path!r} are NaN or infinite, as "
                "after a training that has diverged. Set other weights, and "
                "train with smaller rates."
            )


def observation_spec(
    policy: Any, shape: Any = None, argument: str = "observation_shape"
) -> tf.TensorSpec:
    """Returns what a policy observes, `[None, ...]`.

    Args:
      policy: a `keras.Model` of observations.
      shape: of one observation. Default: what the model was built with.
      argument: what the user would give to tell it, for errors.

    Raises:
      TypeError: if `policy` is no `keras.Model`, or `shape` no shape.
      ValueError: if the shape is not given and not known.
    """
    if not isinstance(policy, keras.Model):
        raise TypeError(
            "`policy` must be a keras.Model from observations to logits. "
            f"Received: {policy!r} (of type {type(policy).__name__})."
        )
    inputs = getattr(policy, "inputs", None)
    if shape is None:
        # A subclassed model remembers only the shape that it was built with.
        built = (policy.get_build_config() or {}).get("input_shape")
        batch_shape = inputs[0].shape if inputs else built
        if batch_shape is None:
            raise ValueError(
                f"`{argument}` must be given, as the model {policy.name!r} "
                "does not know the shape of what it observes: it has not been "
                "called yet, or takes several inputs."
            )
        shape = batch_shape[1:]
    elif not isinstance(shape, (list, tuple)):
        raise TypeError(
            "`observation_shape` must be a list or tuple, the shape of one "
            f"observation. Received: observation_shape={shape!r}."
        )
    dtype = inputs[0].dtype if inputs else policy.variable_dtype
    return tf.TensorSpec([None, *shape], dtype, "observation")


def check_no_penalties(name: str, model: keras.Model) -> None:
    """Raises if Keras' own training would penalise or constrain a model.

    Args:
      name: how the error names the model.
      model: a model that is to be trained.

    Raises:
      ValueError: if a trainable variable has a regularizer or a constraint,
        or a layer has an activity regularizer or adds losses.
    """
    for variable in model.trainable_variables:
        for what, rule in (
            ("regularizer", variable.regularizer),
            ("constraint", variable.constraint),
        ):
            if rule is not None:
                _refuse_penalty(
                    name, model, f"{variable.path!r} has a {what}, {rule!r}"
                )
    for layer in model._flatten_layers():
        if layer.activity_regularizer is not None:
            _refuse_penalty(
                name,
                model,
                f"its layer {layer.name!r} has an activity_regularizer, "
                f"{layer.activity_regularizer!r}",
            )
    if _adds_losses(model):
        _refuse_penalty(name, model, "it adds losses with `add_loss`")


def _adds_losses(model: keras.Model) -> bool:
    """Returns whether a call of the model adds losses, where it can be made."""
    inputs = getattr(model, "inputs", None)
    built = (model.get_build_config() or {}).get("input_shape")
    if not inputs:
        if built is None:
            return bool(model.losses)
        inputs = [tf.TensorSpec(built, model.variable_dtype)]
    zeros = [
        tf.zeros([size or 1 for size in own.shape], own.dtype) for own in inputs
    ]
    *_, losses = model.stateless_call(
        [variable.value for variable in model.trainable_variables],
        [variable.value for variable in model.non_trainable_variables],
        zeros if len(zeros) > 1 else zeros[0],
        return_losses=True,
    )
    return bool(losses)


def _refuse_penalty(name: str, model: keras.Model, reason: str) -> None:
    raise ValueError(
        f"`{name}` ({model.name!r}) would be trained without what its layers "
        f"ask for: {reason}. The players of a game move along directions of "
        "their learners, to which Keras' penalties and constraints do not "
        "belong. Build the model without it. To keep a policy random, use "
        "the trainer's `entropy_coefficient`; to shrink weights, an "
        "optimiser's `weight_decay`."
    )


def _waves(param: tf.Tensor) -> np.ndarray:
    """Returns numbers in [-1, 1] that repeat themselves nowhere."""
    return np.sin(1.0 + np.arange(param.shape.num_elements()))


def weights_to_replicas(weights: list[Weights]) -> list[Weights]:
    """Returns weights for what a replica computes of its own share.

    The play is not of it: what was played is found again by its weights.
    """
    params = [own.params for own in weights]
    flat = to_replicas(tf.nest.flatten(params))
    return [
        own._replace(params=shared)
        for own, shared in zip(
            weights, tf.nest.pack_sequence_as(params, flat), strict=True
        )
    ]
