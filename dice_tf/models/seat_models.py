"""Keras models as pure functions of their weights."""

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from dice_tf.checks import check_whole_number
from dice_tf.replicas import to_replicas

_NOT_REPEATABLE = (
    "Log-probabilities and values are computed again after a play, so that "
    "derivatives would be those of another model. Call layers such as "
    "Dropout, GaussianNoise and BatchNormalization without `training=True`: "
    "they run in inference mode here, in which they draw nothing. What is to "
    "be random belongs in the policy's distribution."
)


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

    In a seat, parameters and outputs have the dtype of the game, whatever the
    model computes in: mixed precision, layers with a `dtype` of their own,
    weights in half precision. The values of players and the steps of learners
    then add up in one dtype. The casts are linear, so derivatives of every
    order are those that the model's layers give. In half precision these have
    8 bits (bfloat16) or 11 (float16), and nothing scales small ones: float16
    turns what is below 6e-8 into 0, so bfloat16 is the safer choice.

    Args:
      name: how errors name the model.
      model: a `keras.Model` from one batch of observations to one tensor.
      observation_shape: shape of one observation.
      dtype: dtype of the observations; in a seat the floating dtype of the
        game, which parameters and outputs have, too.
      is_seated: whether the model is in a seat. If not, parameters and outputs
        keep the model's dtypes.

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
        *,
        is_seated: bool = True,
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
        self._dtype = dtype if is_seated else None
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
        return self._current_outputs(observations)

    def _current_outputs(self, observations: tf.Tensor) -> Any:
        """Returns all that the model does, with the values of variables."""
        return self.model(observations)

    def check_follows_weights(self, observations: tf.Tensor) -> None:
        """Raises if the model's outputs ignore the weights they are given.

        A model that calls a `tf.function` of its own, once that is traced,
        reads its variables whatever `stateless_call` is given: its gradients
        would be lost without an error, as those of outputs without
        derivatives. Nothing is checked in a graph.

        Args:
          observations: `[B, *observation_shape]`, such as the seat sees.

        Raises:
          ValueError: if other weights give the same outputs, or no weight has
            a derivative.
        """
        weights = self.weights()
        if not weights.params or not tf.executing_eagerly():
            return
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights.params)
            before = self(weights, observations)
        after = self(_moved(weights), observations)
        if np.array_equal(before, after):
            raise ValueError(
                f"`{self.name}` ({self.model.name!r}) gives the same outputs "
                "whatever its weights, so that it would never learn. If it "
                "calls a tf.function of its own, leave out the decorator: "
                "the trainer compiles it anyway. If it is to stay as it is, "
                "set its `trainable` to False."
            )
        gradients = tape.gradient(before, weights.params)
        if all(gradient is None for gradient in gradients):
            raise ValueError(
                f"`{self.name}` ({self.model.name!r}) has no derivatives in "
                "its weights, so that it would never learn. Operations such "
                "as tf.argmax, tf.round, tf.stop_gradient and "
                "tf.numpy_function have none, and keras.RematScope loses "
                "them. If it is to stay as it is, set its `trainable` to "
                "False."
            )

    def check_repeatable(self, observations: tf.Tensor) -> None:
        """Raises if outputs depend on more than weights and observation.

        A play calls the model step by step and hands on no state of its
        layers. Log-probabilities and values are computed again later, for all
        steps at once: with noise of another draw, with another count of calls
        or beside other observations they would be those of another model.
        Nothing is checked in a graph.

        Args:
          observations: `[B, *observation_shape]`, such as the seat sees.

        Raises:
          ValueError: if a call changes variables, if a second call gives
            other outputs, or if the outputs for an observation depend on the
            other observations of the batch.
        """
        if not tf.executing_eagerly():
            return
        # Rare noise shows only among many observations. Weights of zeros, as
        # initializers give them, would hide any noise.
        observations = _many(observations)
        weights = _moved(self.weights())
        outputs, changed = self._outputs_and_changes(weights, observations)
        if changed:
            raise ValueError(
                f"`{self.name}` ({self.model.name!r}) changes "
                f"{', '.join(changed)} whenever it is called, as layers do "
                f"that draw noise or follow the batch. {_NOT_REPEATABLE}"
            )
        reseeded = _with_other_masks(weights, self.model)
        again, _ = self._outputs_and_changes(reseeded, observations)
        if not _are_alike(outputs, again, 1e-5):
            raise ValueError(
                f"`{self.name}` ({self.model.name!r}) gives other outputs "
                "whenever it is called with the same weights and "
                f"observations, as noise does. {_NOT_REPEATABLE}"
            )
        alone, _ = self._outputs_and_changes(weights, observations[-1:])
        if not _are_alike([output[-1:] for output in outputs], alone, 5e-2):
            raise ValueError(
                f"`{self.name}` ({self.model.name!r}) gives an observation "
                "other outputs beside other observations, as batch "
                "normalisation does in training mode, and noise that is drawn "
                f"with a fixed seed. {_NOT_REPEATABLE}"
            )

    def _outputs_and_changes(
        self, weights: Weights, observations: tf.Tensor
    ) -> tuple[list[np.ndarray], list[str]]:
        """Returns all outputs of a call, and the variables it would change."""
        model = self.model
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        values = [*weights.params, *weights.non_trainable]
        scope = keras.StatelessScope(zip(variables, values, strict=True))
        before = dict(scope.state_mapping)
        with scope:
            returned = self._current_outputs(observations)
        paths = {id(variable): repr(variable.path) for variable in variables}
        masks = _mask_generators(model)
        changed = {
            # For example the state of Keras' global generator.
            paths.get(key, "a variable outside of the model")
            for key, value in scope.state_mapping.items()
            if key not in masks
            and (
                key not in before
                or not np.array_equal(before[key], value, equal_nan=True)
            )
        }
        flat = keras.tree.flatten(returned)
        return [np.asarray(x, np.float64) for x in flat], sorted(changed)

    def weights(self) -> Weights:
        """Returns the current values of the model's variables.

        In a seat, trainable ones are in the dtype of the game.
        """
        model = self.model
        params = map(tf.convert_to_tensor, model.trainable_variables)
        return Weights(
            [self._in_seat(param) for param in params],
            [tf.convert_to_tensor(v) for v in model.non_trainable_variables],
        )

    def _in_seat(self, x: tf.Tensor) -> tf.Tensor:
        """Returns a floating tensor in the dtype of the game."""
        if self._dtype is None or not x.dtype.is_floating:
            return x
        return tf.cast(x, self._dtype)

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
          `[..., num_outputs]`, differentiable in the weights; in a seat in
          the dtype of the game.
        """
        num_leading = observations.shape.rank - len(self._observation_shape)
        leading = observations.shape[:num_leading]
        flat = tf.reshape(observations, [-1, *self._observation_shape])
        # Weights of other dtypes are cast to those of the variables.
        outputs, _ = self.model.stateless_call(
            weights.params, weights.non_trainable, flat
        )
        outputs = self._in_seat(outputs)
        if not leading.is_fully_defined():
            leading = tf.shape(observations)[:num_leading]
        return tf.reshape(
            outputs, tf.concat([leading, [self.num_outputs]], axis=0)
        )


def all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns a model and its layers, at any depth.

    `keras.Model.layers` is public and has only those of the first level. A
    layer that holds layers and is not a model has no such attribute.
    """
    return list(model._flatten_layers())


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


def check_separate(models: Mapping[str, keras.Model]) -> None:
    """Raises if what one model trains is a part of another one.

    Parameters of each model are values of their own, which training moves
    apart: a variable in two models would be trained as two copies.

    Args:
      models: built models by the names that errors give them.

    Raises:
      ValueError: if two of them share a trainable variable.
    """
    parts = [
        (
            f"`{name}` ({model.name!r})",
            {id(variable): variable.path for variable in model.variables},
            {id(variable) for variable in model.trainable_variables},
        )
        for name, model in models.items()
    ]
    for one, other in itertools.combinations(parts, 2):
        shared = (one[1].keys() & other[1].keys()) & (one[2] | other[2])
        if shared:
            paths = sorted(one[1][key] for key in shared)
            listed = ", ".join(map(repr, paths[:4]))
            listed += f" and {len(paths) - 4} others" if len(paths) > 4 else ""
            raise ValueError(
                f"{one[0]} and {other[0]} share the trainable variables "
                f"{listed}. Only a whole model can be shared, as one object in "
                "several seats of the policies, or of the critics. A part of "
                "two models would be trained as two copies, and the models "
                "would end with the values of the last. Make one model for "
                "each: keras.models.clone_model(model) makes another, and "
                "set_weights(model.get_weights()) lets it start from the same "
                "values. Layers may be shared if nothing trains them, with "
                "their `trainable` set to False. In a match "
                "(dice_tf.evaluation.play_match) one policy may take several "
                "seats."
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
      TypeError: if `policy` is not a `keras.Model`, or `shape` is not a list.
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
    else:
        for size in shape:
            if size is not None:
                check_whole_number("observation_shape", size, 0)
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
    for layer in all_layers(model):
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
        tf.zeros([size or 1 for size in spec.shape], spec.dtype)
        for spec in inputs
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


def _moved(weights: Weights) -> Weights:
    """Returns weights with others for the trainable variables."""
    moved = []
    for param in weights.params:
        # A common shift would not do: some layers ignore it.
        move = tf.cast(tf.reshape(_waves(param), param.shape), param.dtype)
        # Adding to a huge or infinite number changes nothing.
        is_moderate = tf.abs(param) < 1e4
        moved.append(tf.where(is_moderate, param, tf.zeros_like(param)) + move)
    return weights._replace(params=moved)


def _mask_generators(model: keras.Model) -> set[int]:
    """Returns ids of the variables that recurrent layers draw masks with.

    Keras' recurrent layers with dropout draw its masks in inference mode, too,
    in which they do not use them.
    """
    return {
        id(variable)
        for layer in all_layers(model)
        if isinstance(layer, keras.layers.RNN)
        for variable in layer.non_trainable_variables
        if variable.name == "seed_generator_state"
    }


def _with_other_masks(weights: Weights, model: keras.Model) -> Weights:
    """Returns weights with which recurrent layers draw other masks."""
    masks = _mask_generators(model)
    variables = model.non_trainable_variables
    other = [
        value + 1 if id(variable) in masks else value
        for variable, value in zip(
            variables, weights.non_trainable, strict=True
        )
    ]
    return weights._replace(non_trainable=other)


def _many(observations: tf.Tensor) -> tf.Tensor:
    """Returns observations `[B, ...]` repeated, about 256 of small ones."""
    size = max(1, observations[0].shape.num_elements())
    wanted = min(256, 2**16 // size)
    repeats = max(1, wanted // observations.shape[0])
    return tf.concat([observations] * repeats, axis=0)


def _are_alike(
    arrays: list[np.ndarray], others: list[np.ndarray], share: float
) -> bool:
    """Returns whether arrays differ by no more than rounding does.

    Matrix products of other sizes, and on GPUs, round in another order.
    """
    return all(
        np.allclose(
            one, other, rtol=share, atol=share * _size(one), equal_nan=True
        )
        for one, other in zip(arrays, others, strict=True)
    )


def _size(array: np.ndarray) -> float:
    """Returns the mean absolute value of what is finite."""
    finite = array[np.isfinite(array)]
    return float(np.mean(np.abs(finite))) if finite.size else 0.0


def _waves(param: tf.Tensor) -> np.ndarray:
    """Returns numbers in [-1, 1] that repeat themselves nowhere."""
    return np.sin(1.0 + np.arange(param.shape.num_elements()))


def weights_to_replicas(weights: list[Weights]) -> list[Weights]:
    """Returns weights for what a replica computes of its own share.

    The play is not of it: what was played is found again by its weights.
    """
    params = [model_weights.params for model_weights in weights]
    flat = to_replicas(tf.nest.flatten(params))
    return [
        model_weights._replace(params=shared)
        for model_weights, shared in zip(
            weights, tf.nest.pack_sequence_as(params, flat), strict=True
        )
    ]
