"""Several players' optimisers, as Keras' callbacks meet them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners import Naive
from dice_tf.training.player_optimizers import PlayerOptimizers


def build_trainer(*optimizers):
    """Values whose gradients are 1: parameters sum up the rates."""
    objective = dice_tf.objectives.FunctionObjective(
        [lambda p: tf.reduce_sum(p[0][0]), lambda p: tf.reduce_sum(p[1][0])]
    )
    trainer = dice_tf.Trainer(
        objective,
        [Naive(), Naive()],
        initial_params=np.zeros([1, 2, 1, 3], np.float32),
    )
    trainer.compile(list(optimizers), jit_compile=False)
    return trainer


def decay(rate):
    return keras.optimizers.schedules.InverseTimeDecay(rate, 1, 1.0)


def test_each_player_may_have_a_schedule_of_its_own():
    trainer = build_trainer(
        keras.optimizers.SGD(decay(0.6)), keras.optimizers.SGD(decay(6.0))
    )
    trainer.fit(steps_per_epoch=3, verbose=0)
    for player, rate in zip(trainer.players, (0.6, 6.0), strict=True):
        expected = rate * (1 + 1 / 2 + 1 / 3)
        np.testing.assert_allclose(player.params[0][0], [expected] * 3, 1e-5)


def test_rates_are_set_in_proportion_where_keras_knows_one_rate_only():
    """As versions of Keras do that do not look for several optimisers."""
    trainer = build_trainer(
        keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.4)
    )
    trainer.optimizer.learning_rate = 0.05
    rates = [
        float(optimizer.learning_rate)
        for optimizer in trainer.player_optimizers
    ]
    np.testing.assert_allclose(rates, [0.05, 0.2], rtol=1e-6)
    assert float(trainer.optimizer.learning_rate) == np.float32(0.05)
    trainer.optimizer.learning_rate = 0.0
    trainer.optimizer.learning_rate = 0.3
    rates = [
        float(optimizer.learning_rate)
        for optimizer in trainer.player_optimizers
    ]
    np.testing.assert_allclose(rates, [0.3, 0.3], rtol=1e-6)


def test_averages_of_each_optimizer_are_taken_over_at_the_end():
    average = {"use_ema": True, "ema_momentum": 0.5}
    trainer = build_trainer(
        keras.optimizers.SGD(1.0, **average), keras.optimizers.SGD(2.0)
    )
    trainer.fit(steps_per_epoch=2, verbose=0)
    # 0.5 (0.5 * 0 + 0.5 * 1) + 0.5 * 2, as Keras starts with the first.
    first, second = (
        player.params[0].numpy()[0, 0] for player in trainer.players
    )
    assert first < 2.0 and second == 4.0
    assert int(trainer.optimizer.iterations) == 2


def test_a_single_optimizer_stands_for_itself():
    optimizer = keras.optimizers.SGD(0.1)
    variables = [[keras.Variable([1.0])], [keras.Variable([2.0])]]
    optimizers = PlayerOptimizers("optimizer", optimizer, variables, 1)
    assert optimizers.joint() is optimizer


def test_the_summary_tells_who_learns_what_and_how(capsys):
    trainer = build_trainer(
        keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.4)
    )
    lines = []
    trainer.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "FunctionObjective, 2 players, 1 run (seed 0), 0 iterations" in text
    assert "player_0: Naive, 3 parameters a run, SGD, rate 0.1" in text
    assert "player_1: Naive, 3 parameters a run, Adam, rate 0.4" in text
    assert "Total params" in text
    trainer.summary()
    assert "player_0: Naive" in capsys.readouterr().out


def test_the_summary_knows_frozen_players_runs_and_critics():
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    policies = [
        dice_tf.policies.tabular(game, 0),
        dice_tf.policies.tit_for_tat(game, 1),
    ]
    critics = [dice_tf.critics.tabular_critic(game, i) for i in range(2)]
    objective = dice_tf.objectives.DiCEObjective(
        game, policies, 0.9, 4, "critic", critics=critics
    )
    trainer = dice_tf.Trainer(objective, [Naive(), None], num_seeds=2, seed=7)
    lines = []
    trainer.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "2 runs (seeds 7 to 8)" in text
    assert "player_0: Naive, 5 parameters a run, critic of 5" in text
    assert "player_1: frozen, 0 parameters a run" in text


@pytest.mark.parametrize("steps", [1, 2])
def test_steps_per_execution_do_not_change_schedules(steps):
    trainer = build_trainer(
        keras.optimizers.SGD(decay(0.6)), keras.optimizers.SGD(0.1)
    )
    trainer.compile(
        [keras.optimizers.SGD(decay(0.6)), keras.optimizers.SGD(0.1)],
        jit_compile=False,
        steps_per_execution=steps,
    )
    trainer.fit(steps_per_epoch=2, verbose=0)
    np.testing.assert_allclose(
        trainer.players[0].params[0][0], [0.9] * 3, rtol=1e-5
    )
