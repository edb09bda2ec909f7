"""Sampling states from rows of probabilities."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.games.finite_chances import as_chances

LARGEST = {"float32": 1 - 2**-24, "float64": 1 - 2**-32}


def uneven_rows(num_rows=6, num_states=7):
    """Rows of 1, 2, ... possibilities, in columns of their own."""
    rng = np.random.default_rng(0)
    rows = np.zeros([num_rows, num_states])
    for row, chances in enumerate(rows):
        columns = rng.choice(num_states, row + 1, replace=False)
        chances[columns] = rng.dirichlet(np.ones(row + 1))
    return rows


def test_what_is_picked_has_the_probabilities_of_its_row():
    rows, num_draws = uneven_rows(), 40_000
    noise = np.random.default_rng(1).uniform(size=[len(rows), num_draws])
    index = tf.repeat(tf.range(len(rows))[:, np.newaxis], num_draws, axis=1)
    picked = as_chances(rows).pick(index, tf.constant(noise)).numpy()
    for states, chances in zip(picked, rows, strict=True):
        counts = np.bincount(states, minlength=len(chances)) / num_draws
        error = np.sqrt(chances * (1 - chances) / num_draws)
        assert np.all(np.abs(counts - chances) <= 4.5 * error)


def test_it_is_the_inversion_of_the_whole_row():
    rows = uneven_rows()
    noise = np.random.default_rng(2).uniform(size=[len(rows), 500])
    index = tf.repeat(tf.range(len(rows))[:, np.newaxis], 500, axis=1)
    passed = noise[..., np.newaxis] >= np.cumsum(rows, axis=1)[:, np.newaxis]
    np.testing.assert_array_equal(
        as_chances(rows).pick(index, tf.constant(noise)), passed.sum(axis=-1)
    )


@pytest.mark.parametrize("dtype", LARGEST)
@pytest.mark.parametrize(
    "row",
    [
        [0.1] * 10 + [0.0],
        [0.5, 0.5 - 1e-6, 0.0, 0.0],
        [1 - 1e-6, 1e-17, 1e-18, 0.0],
    ],
)
def test_what_cannot_happen_is_not_reached_by_rounding(row, dtype):
    # Another row is wider.
    rows = np.array([row, np.full(len(row), 1 / len(row))])
    noise = tf.constant([LARGEST[dtype]], dtype)
    (picked,) = as_chances(rows).pick(tf.constant([0]), noise).numpy()
    assert row[picked] > 0


def test_certain_rows_need_no_noise():
    chances = as_chances(np.eye(3)[[2, 0]])
    assert chances.is_certain
    assert not as_chances(uneven_rows()).is_certain
    np.testing.assert_array_equal(
        chances.pick(tf.constant([0, 1, 1]), None), [2, 0, 0]
    )
