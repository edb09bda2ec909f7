"""What the trainer records."""

import numpy as np
import tensorflow as tf

import dice_tf
from dice_tf.training.records import Curves, StepMeans


def test_curves_grow_and_keep_what_they_hold():
    curves = Curves(num_seeds=3, num_players=2)
    assert curves.read(0).shape == (0, 3, 2)
    rows = np.random.default_rng(0).normal(size=(5, 3, 2)).astype(np.float32)
    curves.reserve(2)
    for iteration in range(5):
        if iteration == 2:
            curves.reserve(5)
            curves.reserve(3)
        curves.write(tf.constant([iteration]), tf.constant(rows[[iteration]]))
    np.testing.assert_array_equal(curves.read(5), rows)
    np.testing.assert_array_equal(curves.read(4), rows[:4])


def test_curves_are_restored_with_room_for_what_is_to_come():
    rows = np.random.default_rng(0).normal(size=(4, 3, 2)).astype(np.float32)
    for num_made in (0, 2, 7):
        curves = Curves(num_seeds=3, num_players=2)
        curves.reserve(num_made + 4)
        curves.restore(rows, num_made)
        assert curves.num_rows == 8
        np.testing.assert_array_equal(curves.read(4), rows)
        curves.write(tf.constant([7]), tf.constant(rows[:1]))
        np.testing.assert_array_equal(curves.read(8)[[0, 7]], rows[[0, 0]])


def test_means_are_over_the_steps_since_the_last_reset():
    means = StepMeans(["first", "second"])
    values = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    for row in values[:3]:
        means.update_state(tf.constant(row))
    found = [float(value) for value in means.result().values()]
    np.testing.assert_allclose(found, values[:3].mean(axis=0), rtol=1e-6)
    assert list(means.result()) == ["first", "second"]
    means.reset_state()
    means.update_state(tf.constant(values[3]))
    found = [float(value) for value in means.result().values()]
    np.testing.assert_allclose(found, values[3], rtol=1e-6)


def trained(num_steps):
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    policies = [dice_tf.policies.tabular(game, i) for i in range(2)]
    objective = dice_tf.objectives.ExactObjective(game, policies, 0.9)
    trainer = dice_tf.Trainer(objective, [dice_tf.learners.Naive()] * 2)
    trainer.compile("sgd", jit_compile=False)
    if num_steps:
        trainer.fit(epochs=1, steps_per_epoch=num_steps, verbose=0)
    return trainer


def test_a_snapshot_copies_the_curves_and_weights_do_not():
    source = trained(3)
    by_weights, by_snapshot = trained(0), trained(0)
    by_weights.set_weights(source.get_weights())
    by_snapshot.put_back(source.take_snapshot())
    for copy in (by_weights, by_snapshot):
        assert copy.iterations == 3
        for value, expected in zip(
            copy.get_weights(), source.get_weights(), strict=True
        ):
            np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(by_snapshot.curves, source.curves)
    assert not np.any(by_weights.curves)
    source.fit(verbose=0)
    by_weights.fit(verbose=0)
    np.testing.assert_array_equal(by_weights.curves[3], source.curves[3])
    assert not np.any(by_weights.curves[:3])
