"""The point that looks for its goal."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.games import PointNavigation

SEED = tf.constant([1, 2])


def test_it_moves_by_clipped_velocities_and_earns_minus_its_distance():
    game = PointNavigation([0.3, -0.2], 5, dtype="float64")
    position, first = game.reset(SEED, 3)
    np.testing.assert_array_equal(first.observations[0], np.zeros([3, 2]))
    np.testing.assert_array_equal(first.rewards[0], np.zeros(3))
    velocities = np.random.default_rng(0).normal(scale=0.1, size=(4, 3, 2))
    assert (np.abs(velocities) > 0.1).any()
    expected = np.zeros([3, 2])
    for velocity in velocities:
        position, after = game.step(position, (tf.constant(velocity),), SEED)
        expected += np.clip(velocity, -0.1, 0.1)
        np.testing.assert_allclose(after.observations[0], expected)
        distances = np.linalg.norm(expected - [0.3, -0.2], axis=1)
        np.testing.assert_allclose(after.rewards[0], -distances)
        np.testing.assert_array_equal(after.discounts, np.ones(3))


def test_the_speed_limit_can_be_set():
    game = PointNavigation([0.0, 0.0], max_speed=0.5)
    position, _ = game.reset(SEED, 1)
    position, _ = game.step(position, (tf.constant([[9.0, 0.2]]),), SEED)
    np.testing.assert_allclose(position, [[0.5, 0.2]])


def test_goals_fill_a_square_and_follow_the_seed():
    goals = PointNavigation.sample_goals(SEED, 2000).numpy()
    assert goals.shape == (2000, 2) and goals.dtype == np.float32
    assert np.abs(goals).max() <= 0.5
    # The mean of 4000 uniforms on (-0.5, 0.5), 4 standard errors.
    assert abs(goals.mean()) < 4.0 / np.sqrt(12 * 4000)
    assert abs(goals.var() - 1.0 / 12) < 0.005
    again = PointNavigation.sample_goals(SEED, 2000)
    np.testing.assert_array_equal(goals, again)
    wide = PointNavigation.sample_goals(SEED, 2000, half_width=2.0)
    np.testing.assert_allclose(wide, 4.0 * goals, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0.0],), ValueError, "`goal` must be a point of the plane"),
        (([0.0, 0.0], 0), ValueError, "`episode_length` must be at least 1"),
    ],
)
def test_arguments_out_of_their_range_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        PointNavigation(*arguments)


def test_a_point_that_cannot_move_is_refused():
    with pytest.raises(ValueError, match="`max_speed` must be above 0"):
        PointNavigation([0.0, 0.0], max_speed=0.0)


def test_actions_that_are_no_velocities_are_refused():
    game = PointNavigation([0.0, 0.0])
    position, _ = game.reset(SEED, 3)
    with pytest.raises(ValueError, match=r"Actions must have shape \[B, 2\]"):
        game.step(position, (tf.zeros([3]),), SEED)
