"""Games that Python code plays: what they show, and training in them."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.bridges import PythonGame
from dice_tf.policies.actor import Actor
from dice_tf.rollout import sample_trajectory
from tests.bridges.environments import Counting, Fragile

SEED = tf.constant([3, 4])
LENGTH = 4


@pytest.fixture(scope="module")
def game():
    return PythonGame(Counting, LENGTH)


def players(game):
    """Returns actors that play uniformly, and their weights."""
    policies = [
        dice_tf.policies.mlp(game, i, hidden_units=[]) for i in range(2)
    ]
    actors = [Actor(own, game, i) for i, own in enumerate(policies)]
    weights = [own.model.weights() for own in actors]
    return actors, tf.nest.map_structure(tf.zeros_like, weights)


def play(game, seed=SEED, batch_size=5):
    return sample_trajectory(game, *players(game), batch_size, seed)


def assert_same(first, second):
    for x, y in zip(
        tf.nest.flatten(first), tf.nest.flatten(second), strict=True
    ):
        assert (x is None) == (y is None)
        if x is not None:
            np.testing.assert_array_equal(x, y)


def test_it_has_the_sizes_of_the_environment(game):
    assert game.num_players == 2
    assert game.num_actions == (3, 2)
    assert game.observation_shapes == ((2,), (1,))
    assert not game.is_compilable
    assert dice_tf.games.CoinGame().is_compilable


def test_a_trajectory_is_what_the_environment_showed(game):
    played = play(game)
    times = np.broadcast_to(np.arange(LENGTH)[:, np.newaxis], [LENGTH, 5])
    np.testing.assert_array_equal(played.observations[0][..., 0], times)
    np.testing.assert_array_equal(played.observations[1][..., 0], times)
    # Every episode has a seed of its own, and keeps it.
    numbers = played.observations[0].numpy()[..., 1]
    assert len(set(numbers[0])) > 1
    np.testing.assert_array_equal(numbers[0], numbers[-1])
    actions = played.actions[0].numpy()
    has_ended = np.cumsum(actions == 2, axis=0) > 0
    np.testing.assert_array_equal(played.discounts, 1.0 - has_ended)
    before = np.concatenate([np.zeros([1, 5]), has_ended[:-1]]).astype(bool)
    assert before.any() and not has_ended.all()
    np.testing.assert_array_equal(
        played.rewards[0], np.where(before, 0, actions)
    )
    np.testing.assert_array_equal(played.rewards[1], -played.rewards[0])


def test_play_follows_the_seed_eagerly_and_in_graphs(game):
    first = play(game)
    actors, weights = players(game)
    in_graph = tf.function(
        lambda seed: sample_trajectory(game, actors, weights, 5, seed)
    )
    for _ in range(2):
        assert_same(in_graph(SEED), first)
    numbers = play(game, tf.constant([3, 5])).observations[0][0, :, 1]
    assert not np.array_equal(numbers, first.observations[0][0, :, 1])


def test_plays_at_the_same_time_do_not_disturb_each_other(game):
    state, _ = game.reset(SEED, 2)
    other, _ = game.reset(SEED, 3)
    ones = tuple(tf.ones([2], tf.int32) for _ in range(2))
    state, after = game.step(state, ones, SEED)
    _, first = game.step(other, tuple(tf.ones([3], tf.int32) for _ in ones), 0)
    state, second = game.step(state, ones, SEED)
    assert after.observations[1][0, 0] == first.observations[1][0, 0] == 1
    assert second.observations[1][0, 0] == 2


def test_environments_are_used_again():
    game = PythonGame(Counting, 2)
    for _ in range(3):
        play(game)
    assert len(game._environments) == 1


def test_worker_processes_play_the_same():
    game = PythonGame(Counting, LENGTH, num_workers=2)
    try:
        for batch_size in (5, 1):
            assert_same(
                play(game, batch_size=batch_size),
                play(PythonGame(Counting, LENGTH), batch_size=batch_size),
            )
    finally:
        game.close()


def test_what_fails_in_a_worker_is_said():
    game = PythonGame(Fragile, LENGTH, num_workers=1)
    try:
        with pytest.raises(Exception, match="ZeroDivisionError: it broke"):
            play(game)
    finally:
        game.close()


def test_policies_learn_in_it():
    game = PythonGame(Counting, 2)
    policies = [
        dice_tf.policies.mlp(game, i, hidden_units=[]) for i in range(2)
    ]
    objective = dice_tf.objectives.DiCEObjective(game, policies, 1.0, 100)
    trainer = dice_tf.Trainer(objective, [dice_tf.learners.Naive(), None])
    trainer.compile("adam")
    trainer.player_optimizers[0].learning_rate = 0.1
    trainer.fit(epochs=1, steps_per_epoch=40, verbose=0)
    # Best is action 1, and then, which ends the episode anyway, action 2.
    curve = trainer.curves[:, 0, 0]
    assert curve[-2:].mean() > max(curve[:2].mean() + 0.2, 1.2)


def test_xla_is_refused_where_python_plays(game):
    policies = [
        dice_tf.policies.mlp(game, i, hidden_units=[]) for i in range(2)
    ]
    objective = dice_tf.objectives.DiCEObjective(game, policies, 1.0, 3, None)
    trainer = dice_tf.Trainer(objective, [dice_tf.learners.Naive()] * 2)
    with pytest.raises(ValueError, match=r"\(PythonGame\), which XLA cannot"):
        trainer.compile("sgd", jit_compile=True)
    with pytest.raises(ValueError, match="`jit_compile` must be one of True"):
        trainer.compile("sgd", jit_compile="perhaps")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"episode_length": 0}, "`episode_length` must be at least 1"),
        (
            {"episode_length": 1, "num_workers": -1},
            "`num_workers` must be at least 0",
        ),
    ],
)
def test_arguments_out_of_their_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PythonGame(Counting, **arguments)
