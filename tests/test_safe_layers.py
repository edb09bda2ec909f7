"""The layer normalisation whose derivatives are right at every order."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dice_tf.layers import SafeLayerNormalization


def normal(*shape, seed=0, dtype="float64"):
    drawn = np.random.default_rng(seed).normal(size=shape)
    return tf.constant(drawn, dtype)


def layer_pair(axis=-1, dtype="float64", **options):
    """Ours and Keras' own, built for [4, 3, 5] with the same random weights."""
    options = {"axis": axis, "dtype": dtype, **options}
    layers = [
        SafeLayerNormalization(**options),
        keras.layers.LayerNormalization(**options),
    ]
    for layer in layers:
        layer.build((4, 3, 5))
        layer.set_weights(
            [
                np.random.default_rng(seed).normal(size=weight.shape)
                for seed, weight in enumerate(layer.get_weights())
            ]
        )
    return layers


def gradient(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    return tape.gradient(value, x)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"axis": 1},
        {"axis": [1, 2]},
        {"axis": [-1, 1], "epsilon": 0.3},
        {"center": False},
        {"scale": False},
    ],
    ids=str,
)
def test_values_and_gradients_are_those_of_keras(options):
    ours, kerass = layer_pair(**options)
    x, mixture = normal(4, 3, 5), normal(4, 3, 5, seed=1)
    np.testing.assert_allclose(ours(x), kerass(x), rtol=1e-10)
    found, expected = (
        gradient(lambda x: tf.reduce_sum(mixture * layer(x) ** 3), x)  # noqa: B023
        for layer in (ours, kerass)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def closed_form_hessian(x, epsilon):
    """Of y_k = (x_k - m) / s, the second derivative in x_i and x_j.

    With n entries, d y_k / d x_i = (delta_ki - (1 + y_k y_i) / n) / s.
    """
    n = len(x)
    s = np.sqrt(np.var(x) + epsilon)
    y = (x - np.mean(x)) / s
    slope = (np.eye(n) - (1 + np.outer(y, y)) / n) / s
    ds = y / n
    return -np.einsum("ki,j->kij", slope, ds) / s - (
        np.einsum("kj,i->kij", slope, y) + np.einsum("k,ij->kij", y, slope)
    ) / (n * s)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_second_derivatives_are_the_closed_form(jit_compile):
    layer = SafeLayerNormalization(
        center=False, scale=False, epsilon=0.1, dtype="float64"
    )
    x = normal(5)

    @tf.function(jit_compile=jit_compile)
    def hessians(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = layer(x[tf.newaxis])[0]
            slopes = inner.jacobian(y, x)
        return outer.jacobian(slopes, x)

    expected = closed_form_hessian(x.numpy(), 0.1)
    np.testing.assert_allclose(hessians(x), expected, rtol=1e-9, atol=1e-12)


def test_kerass_second_derivatives_are_not():
    ours, kerass = layer_pair()
    x, mixture = normal(4, 3, 5), normal(4, 3, 5, seed=1)

    def slope(layer, x):
        return gradient(lambda x: tf.reduce_sum(mixture * layer(x)), x)

    step = 1e-5 * mixture
    expected = (slope(ours, x + step) - slope(ours, x - step)) / 2e-5
    errors = []
    for layer in (ours, kerass):
        product = gradient(
            lambda x: tf.reduce_sum(mixture * slope(layer, x)),  # noqa: B023
            x,
        )
        errors.append(np.linalg.norm(product - expected))
    assert errors[0] < 1e-7 * np.linalg.norm(expected)
    assert errors[1] > 1e-2 * np.linalg.norm(expected)


def test_half_precision_normalises_in_single():
    layer = SafeLayerNormalization(dtype="mixed_float16")
    x = 3e4 * normal(4, 5, dtype="float16")
    outputs = layer(x)
    assert outputs.dtype == tf.float16
    expected = keras.layers.LayerNormalization(dtype="float64")(
        tf.cast(x, tf.float64)
    )
    np.testing.assert_allclose(outputs, expected, atol=2e-3)


def test_it_comes_back_from_a_keras_file(tmp_path):
    inputs = keras.Input((3, 5), dtype="float64")
    model = keras.Model(
        inputs,
        SafeLayerNormalization(axis=[1, 2], epsilon=0.2, dtype="float64")(
            inputs
        ),
    )
    model.set_weights([normal(3, 5, seed=seed) for seed in range(2)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[-1]) is SafeLayerNormalization
    x = normal(4, 3, 5)
    np.testing.assert_array_equal(loaded(x), model(x))


def test_scaling_without_a_mean_is_refused():
    with pytest.raises(
        ValueError, match="no `rms_scaling`. Use keras.layers.R"
    ):
        SafeLayerNormalization(rms_scaling=True)
