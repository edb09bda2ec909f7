"""Keras models as pure functions of their weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dice_tf.models.seat_models import SeatModel, Weights


def network(num_outputs=2, shape=(3,), name="ann"):
    inputs = keras.Input(shape)
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(4, activation="tanh")(x)
    outputs = keras.layers.Dense(num_outputs)(x)
    return keras.Model(inputs, outputs, name=name)


def seat_model(model=None, shape=(3,)):
    model = network(shape=shape) if model is None else model
    return SeatModel("policies[0]", model, shape, tf.float32)


def normal(*shape):
    return tf.random.stateless_normal(shape, [0, 1])


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
@pytest.mark.parametrize("leading", [(), (5,), (4, 5)])
def test_any_leading_axes_are_kept(shape, leading):
    model = seat_model(shape=shape)
    observations = normal(*leading, *shape)
    result = model(model.weights(), observations)
    assert result.shape == (*leading, 2)
    expected = model.model(tf.reshape(observations, [-1, *shape]))
    np.testing.assert_allclose(
        tf.reshape(result, [-1, 2]), expected, rtol=1e-5, atol=1e-6
    )


def test_a_batch_of_unknown_size_is_kept():
    model = seat_model()

    @tf.function(input_signature=[tf.TensorSpec([4, None, 3])])
    def run(observations):
        return model(model.weights(), observations)

    assert run(normal(4, 6, 3)).shape == (4, 6, 2)


def test_weights_given_are_used_and_not_the_variables():
    model = seat_model()
    weights = model.weights()
    before = model.model.get_weights()
    other = [tf.ones_like(param) for param in weights.params]
    result = model(Weights(other, weights.non_trainable), normal(5, 3))
    model.model.set_weights(other)
    np.testing.assert_allclose(
        result, model.model(normal(5, 3)), rtol=1e-5, atol=1e-6
    )
    model.model.set_weights(before)


def test_it_is_differentiable_in_the_weights_twice():
    model = seat_model()
    weights = model.weights()
    observations = normal(5, 3)
    with tf.GradientTape() as outer:
        outer.watch(weights.params)
        with tf.GradientTape() as inner:
            inner.watch(weights.params)
            value = tf.reduce_sum(model(weights, observations) ** 2)
        gradient = inner.gradient(value, weights.params)
    second = outer.gradient(gradient[0], weights.params)
    assert all(
        np.abs(derivative).max() > 0 for derivative in [*gradient, *second]
    )


def test_non_trainable_variables_are_weights_too():
    inputs = keras.Input((3,))
    frozen = keras.layers.Dense(2, trainable=False)
    model = seat_model(keras.Model(inputs, frozen(inputs)))
    weights = model.weights()
    assert weights.params == [] and len(weights.non_trainable) == 2
    doubled = Weights([], [2 * w for w in weights.non_trainable])
    np.testing.assert_allclose(
        model(doubled, normal(5, 3)),
        2 * model(weights, normal(5, 3)),
        rtol=1e-5,
        atol=1e-6,
    )


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match=r"`policies\[0\]` must be a keras.Mod"):
        seat_model(lambda observations: observations)


def test_a_model_of_other_observations_is_refused():
    with pytest.raises(
        ValueError,
        match=r"`policies\[0\]` \('ann'\) must take observations of shape.*3\)",
    ):
        seat_model(network(shape=(4,)))


@pytest.mark.parametrize("kind", ["rank 3", "dictionary"])
def test_a_model_of_other_outputs_is_refused(kind):
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(2)(inputs)
    if kind == "rank 3":
        outputs = keras.layers.Reshape((1, 2))(outputs)
    else:
        outputs = {"logits": outputs}
    model = keras.Model(inputs, outputs, name="ann")
    with pytest.raises(
        ValueError, match=r"\('ann'\) must return one tensor of"
    ):
        seat_model(model)


def test_keras_on_another_backend_is_refused(monkeypatch):
    model = network()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="Keras runs on 'jax'. Set the env"):
        seat_model(model)


class Decorated(keras.Model):
    """Calls a function of its own, which reads variables once it is traced."""

    def __init__(self):
        super().__init__(name="decorated")
        self.dense = keras.layers.Dense(2)

    def call(self, inputs):
        return self._evaluate(inputs)

    @tf.function
    def _evaluate(self, inputs):
        return self.dense(inputs)


def test_a_model_that_ignores_weights_is_refused():
    model = seat_model(Decorated())
    with pytest.raises(ValueError, match="'decorated'.*leave out the decorat"):
        model.check_follows_weights(normal(2, 3))
    seat_model().check_follows_weights(normal(2, 3))
    model.model.trainable = False
    model.check_follows_weights(normal(2, 3))


def test_a_model_without_weights_has_none_to_follow():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Rescaling(2.0)(inputs))
    seat_model(model).check_follows_weights(normal(2, 3))
