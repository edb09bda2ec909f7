"""Recurrent and convolutional policy networks."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.policies import (
    convolutional,
    gru,
    initial_params,
    lstm,
    min_gru,
)
from tests import recurrent
from tests.toys import Pursuit

COINS = dice_tf.games.CoinGame(episode_length=3)


@pytest.mark.parametrize("build", [gru, lstm, min_gru])
def test_recurrent_policies_fit_their_seats(build):
    policy = build(recurrent.small_game(), 1, units=3)
    assert policy.name == f"{build.__name__}_policy_1"
    assert [spec.shape[1:] for spec in policy.inputs] == [
        (5,),
        *[(3,)] * (len(policy.inputs) - 1),
    ]
    assert policy.outputs[0].shape == (None, 1)
    assert build(COINS, 0, name="ann").outputs[0].shape == (None, 4)


def test_a_convolution_sees_the_channels():
    policy = convolutional(COINS, 0, filters=(4,), hidden_units=(5,))
    images = np.random.default_rng(0).normal(size=(2, 4, 3, 3))
    kernel, bias, *_ = policy.get_weights()
    assert kernel.shape == (3, 3, 4, 4)
    # The centre of the image sees all of it.
    expected = np.tanh(np.einsum("bchw,hwcf->bf", images, kernel) + bias)
    layer = policy.layers[2]
    features = layer(
        tf.transpose(tf.constant(images, tf.float32), [0, 2, 3, 1])
    )
    np.testing.assert_allclose(
        features[:, 1, 1], expected, rtol=1e-4, atol=1e-5
    )
    assert policy(images).shape == (2, 4)
    assert dice_tf.check_policy(policy) < 1e-2


@pytest.mark.parametrize("build", [gru, lstm, min_gru, convolutional])
def test_their_parameters_are_drawn_anew(build):
    policy = build(COINS, 0)
    first, again, other = (initial_params(policy, s) for s in (1, 1, 2))
    for one, two, three in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, two)
        # Biases start from constants.
        is_bias = one.ndim == 1 or not np.any(one)
        assert is_bias or np.any(one != three)


@pytest.mark.parametrize("build", [gru, lstm, min_gru])
def test_a_unit_is_a_whole_number(build):
    with pytest.raises(TypeError, match="`units` must be a whole number"):
        build(COINS, 0, units=1.5)
    with pytest.raises(ValueError, match="no finite set of actions"):
        build(Pursuit(), 0)


def test_a_convolution_needs_images():
    with pytest.raises(ValueError, match=r"images of shape \[channels, heig"):
        convolutional(recurrent.small_game(), 0)
    with pytest.raises(TypeError, match="`filters` must be a whole number"):
        convolutional(COINS, 0, filters=(1.5,))
