"""Optimisers whose steps are differentiable functions of tensors."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.inner_optimizers import SGD
from dice_tf.inner_optimizers.norms import global_norm


def random_params(seed):
    rng = np.random.default_rng(seed)
    return [tf.constant(rng.normal(size=shape)) for shape in [(3, 2), (4,)]]


def test_plain_steps_ascend_their_gradients():
    params, gradients = random_params(0), random_params(1)
    optimizer = SGD()
    result = optimizer.step(params, gradients, optimizer.init(params), 0.3)
    for new, old, gradient in zip(
        result.params, params, gradients, strict=True
    ):
        np.testing.assert_allclose(new, old + 0.3 * gradient, rtol=1e-14)
    assert result.slots == []


def test_momentum_accumulates_gradients_as_the_recursion_says():
    params = random_params(0)
    expected = [param.numpy() for param in params]
    speed = [np.zeros_like(param) for param in expected]
    optimizer = SGD(momentum=0.7)
    slots = optimizer.init(params)
    for k in range(4):
        gradients = random_params(k + 1)
        params, slots = optimizer.step(params, gradients, slots, 0.3)
        for i, gradient in enumerate(gradients):
            speed[i] = 0.7 * speed[i] + gradient.numpy()
            expected[i] = expected[i] + 0.3 * speed[i]
    for found, tensor in zip(
        [*params, *slots], [*expected, *speed], strict=True
    ):
        np.testing.assert_allclose(found, tensor, rtol=1e-13)


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_steps_are_differentiable_in_params_gradients_and_rate(momentum):
    params, gradients = random_params(0), random_params(1)
    rate = tf.constant(0.3, tf.float64)
    optimizer = SGD(momentum)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((params, gradients, rate))
        result = optimizer.step(params, gradients, optimizer.init(params), rate)
        total = tf.add_n([tf.reduce_sum(param) for param in result.params])
    np.testing.assert_allclose(tape.gradient(total, params[0]), np.ones((3, 2)))
    np.testing.assert_allclose(
        tape.gradient(total, gradients[0]), np.full((3, 2), 0.3)
    )
    summed = sum(np.sum(gradient) for gradient in gradients)
    np.testing.assert_allclose(tape.gradient(total, rate), summed, rtol=1e-13)


def test_the_dtype_is_that_of_the_parameters():
    params = [tf.constant([1.0, 2.0])]
    for rate in (0.3, tf.constant(0.3, tf.float64)):
        result = SGD(0.5).step(params, params, SGD(0.5).init(params), rate)
        assert result.params[0].dtype == tf.float32


@pytest.mark.parametrize("momentum", [-0.1, 1.1, float("nan")])
def test_momentum_outside_its_range_is_refused(momentum):
    with pytest.raises(ValueError, match=r"`momentum` must be finite and in"):
        SGD(momentum)


def test_momentum_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match="`momentum` must be a number"):
        SGD("0.9")


def test_the_norm_of_several_tensors_is_that_of_all_their_entries():
    tensors = random_params(0)
    entries = np.concatenate([np.ravel(x) for x in tensors])
    np.testing.assert_allclose(global_norm(tensors), np.linalg.norm(entries))


def test_a_norm_over_many_runs_is_not_a_loop():
    """That of TensorFlow is one: no rule maps `tf.nn.l2_loss`."""
    compute = tf.function(
        lambda x: tf.vectorized_map(lambda row: global_norm([row, row]), x),
        autograph=False,
    )
    graph = compute.get_concrete_function(tf.zeros([3, 4])).graph
    kinds = {operation.type for operation in graph.get_operations()}
    assert not any("While" in kind for kind in kinds)
