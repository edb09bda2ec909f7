"""Adam and clipping as differentiable steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from dice_tf.inner_optimizers import SGD, Adam, ClipByGlobalNorm

OPTIMIZERS = {
    "sgd": SGD(),
    "momentum": SGD(0.7),
    "adam": Adam(0.8, 0.95, 0.1),
    "clipped": ClipByGlobalNorm(0.9),
    "clipped_adam": ClipByGlobalNorm(0.9, Adam(0.8, 0.95, 0.1)),
}


def gradients_at(params):
    """Those of a smooth function of two vectors, which interact."""
    x, y = params
    return [tf.sin(x) + 0.3 * tf.reduce_sum(y), tf.cos(y) * tf.reduce_sum(x)]


def unroll(optimizer, params, rate, num_steps=3):
    slots = optimizer.init(params)
    for _ in range(num_steps):
        params, slots = optimizer.step(
            params, gradients_at(params), slots, rate
        )
    return params


def random_params():
    rng = np.random.default_rng(0)
    return [tf.constant(rng.normal(size=size)) for size in (3, 2)]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_unrolled_steps_match_finite_differences(name):
    optimizer, params, step = OPTIMIZERS[name], random_params(), 1e-5
    rate = tf.constant(0.2, tf.float64)
    weights = [np.array([1.0, -2.0, 0.5]), np.array([0.7, 1.5])]

    def total(params, rate):
        reached = unroll(optimizer, params, rate)
        return tf.add_n(
            [
                tf.reduce_sum(weight * x)
                for weight, x in zip(weights, reached, strict=True)
            ]
        )

    with tf.GradientTape() as tape:
        tape.watch((params, rate))
        value = total(params, rate)
    found, slope = tape.gradient(value, (params, rate))
    for k, gradient in enumerate(found):
        for index in range(len(gradient)):
            shift = step * np.eye(len(gradient))[index]
            up, down = (
                float(
                    total(
                        [
                            x + s * shift if j == k else x
                            for j, x in enumerate(params)
                        ],
                        rate,
                    )
                )
                for s in (1, -1)
            )
            assert float(gradient[index]) == pytest.approx(
                (up - down) / (2 * step), rel=1e-6, abs=1e-8
            )
    ends = [float(total(params, rate + s * step)) for s in (1, -1)]
    expected = (ends[0] - ends[1]) / (2 * step)
    assert float(slope) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "optimizer, twin",
    [
        (Adam(), keras.optimizers.Adam(0.05)),
        (
            Adam(0.7, 0.9, 1e-2),
            keras.optimizers.Adam(0.05, 0.7, 0.9, epsilon=1e-2),
        ),
        (
            ClipByGlobalNorm(0.9, Adam()),
            keras.optimizers.Adam(0.05, global_clipnorm=0.9),
        ),
    ],
)
def test_adam_is_that_of_keras(optimizer, twin):
    params = [tf.cast(x, tf.float32) for x in random_params()]
    variables = [keras.Variable(x) for x in params]
    slots = optimizer.init(params)
    for _ in range(5):
        gradients = gradients_at([v.value for v in variables])
        twin.apply([-g for g in gradients], variables)
        params, slots = optimizer.step(
            params, gradients_at(params), slots, 0.05
        )
    for parameter, variable in zip(params, variables, strict=True):
        np.testing.assert_allclose(parameter, variable, rtol=2e-5, atol=1e-6)
    assert int(slots[0]) == 5


@pytest.mark.parametrize("optimizer", [Adam(epsilon=0.1), ClipByGlobalNorm(1)])
def test_the_derivative_at_a_gradient_of_0_is_finite_and_true(optimizer):
    """Near 0, the first Adam step is c g (1 - b_1) / epsilon, a clipped g."""
    gradients = [tf.zeros(2, tf.float64)]
    params = [tf.ones(2, tf.float64)]
    with tf.GradientTape() as tape:
        tape.watch(gradients)
        result = optimizer.step(params, gradients, optimizer.init(params), 0.5)
    found = tape.gradient(result.params[0], gradients[0])
    expected = 0.5
    if isinstance(optimizer, Adam):
        expected *= np.sqrt(1 - 0.999) / (1 - 0.9) * (1 - 0.9) / 0.1
    np.testing.assert_allclose(found, [expected] * 2, rtol=1e-9)


@pytest.mark.parametrize(
    "max_norm, scale", [(2.0, 0.4), (5.0, 1.0), (9.0, 1.0)]
)
def test_gradients_are_clipped_to_their_norm_together(max_norm, scale):
    params = [tf.zeros(1, tf.float64), tf.zeros(1, tf.float64)]
    gradients = [
        tf.constant([3.0], tf.float64),
        tf.constant([-4.0], tf.float64),
    ]
    optimizer = ClipByGlobalNorm(max_norm, SGD(0.5))
    slots = optimizer.init(params)
    result = optimizer.step(params, gradients, slots, 0.1)
    np.testing.assert_allclose(result.params, [[0.3 * scale], [-0.4 * scale]])
    # What follows remembers the clipped ones.
    np.testing.assert_allclose(result.slots, [[3 * scale], [-4 * scale]])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_keep_the_dtype_and_the_structure(name):
    optimizer = OPTIMIZERS[name]
    for dtype in (tf.float32, tf.float64):
        params = [tf.cast(x, dtype) for x in random_params()]
        slots = optimizer.init(params)
        result = optimizer.step(params, gradients_at(params), slots, 0.1)
        tf.nest.assert_same_structure(slots, result.slots)
        assert [x.dtype for x in result.params] == [dtype, dtype]
    empty = optimizer.step([], [], optimizer.init([]), 0.1)
    assert empty.params == []


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: Adam(beta_1=1.0), ValueError, "`beta_1` must be below 1"),
        (lambda: Adam(beta_2=1), ValueError, "`beta_2` must be below 1"),
        (lambda: Adam(beta_1=-0.1), ValueError, "`beta_1` must be finite and"),
        (lambda: Adam(epsilon=0.0), ValueError, "`epsilon` must be positive"),
        (lambda: Adam(epsilon="1"), TypeError, "`epsilon` must be a number"),
        (lambda: ClipByGlobalNorm(0), ValueError, "`max_norm` must be positiv"),
        (lambda: ClipByGlobalNorm(-1), ValueError, "`max_norm` must be finite"),
        (
            lambda: ClipByGlobalNorm(1, keras.optimizers.SGD()),
            TypeError,
            "`optimizer` must be a dice_tf.inner_optimizers.InnerOptimizer",
        ),
    ],
)
def test_arguments_out_of_their_range_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
