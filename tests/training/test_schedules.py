"""Rates that follow a schedule, for each player and each critic."""

import keras
import numpy as np
import pytest

import dice_tf
from dice_tf.learners import Naive
from tests.toys import ASYMMETRIC, tabular_policies


def first_step_only(optimizer):
    return optimizer(
        keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.5, 0.0])
    )


def later_steps_only(optimizer):
    return optimizer(
        keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.0, 0.5])
    )


def build_trainer(num_seeds):
    """Players and critics that move in the first step, or in later ones."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 2)
    objective = dice_tf.objectives.DiCEObjective(
        game,
        tabular_policies(game),
        0.9,
        4,
        baseline="critic",
        critics=[dice_tf.critics.tabular_critic(game, i) for i in range(2)],
    )
    trainer = dice_tf.Trainer(
        objective, [Naive(), Naive()], num_seeds=num_seeds
    )
    sgd, adam = keras.optimizers.SGD, keras.optimizers.Adam
    trainer.compile(
        [first_step_only(adam), later_steps_only(sgd)],
        critic_optimizer=[later_steps_only(adam), first_step_only(sgd)],
        jit_compile=False,
        run_eagerly=True,
    )
    return trainer


def values(trainer):
    """Of player 0, player 1, critic 0, critic 1."""
    players = trainer.players
    return [player.params[0].numpy() for player in players] + [
        player.critic_params[0].numpy() for player in players
    ]


def moved(trainer):
    before = values(trainer)
    trainer.fit(verbose=0)
    return [
        bool(np.any(value != other))
        for value, other in zip(before, values(trainer), strict=True)
    ]


@pytest.mark.parametrize("num_seeds", [1, 2])
def test_every_player_and_critic_follows_its_schedule_also_when_resumed(
    num_seeds, tmp_path
):
    trainer = build_trainer(num_seeds)
    assert moved(trainer) == [True, False, False, True]
    dice_tf.callbacks.Checkpoint(tmp_path / "own").save(trainer, 1)
    assert moved(trainer) == [False, True, True, False]
    other = build_trainer(num_seeds)
    assert dice_tf.callbacks.Checkpoint(tmp_path / "own").restore(other) == 1
    assert moved(other) == [False, True, True, False]
    for value, expected in zip(values(other), values(trainer), strict=True):
        np.testing.assert_array_equal(value, expected)
