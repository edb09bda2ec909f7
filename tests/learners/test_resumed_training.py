"""Learners by advantages and by learned updates: saved, resumed, exported.

Each line-up mixes learners, in an asymmetric game, in two runs at once.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf import learners
from tests.toys import ASYMMETRIC, tabular_policies


def sampled_objective(action_values):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    critics = [
        dice_tf.critics.tabular_critic(game, i, action_values=action_values)
        for i in range(2)
    ]
    options = {"critic_td_lambda": 0.0, "critic_target_momentum": 0.9}
    return dice_tf.objectives.DiCEObjective(
        game,
        tabular_policies(game),
        0.9,
        8,
        "critic",
        critics,
        **(options if action_values else {}),
    )


def exact_objective():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    return dice_tf.objectives.ExactObjective(game, tabular_policies(game), 0.9)


def mixture():
    remembering = learners.LOLADiCE(1, 0.3, carry_slots=True)
    return learners.Mixture(
        [(0.6, learners.AdvantageAlignment()), (0.4, remembering)]
    )


def cola():
    return learners.COLA(
        learners.FittedRates(0.3),
        hidden_units=(2,),
        batch_size=2,
        num_steps=2,
        learning_rate=keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5),
    )


LINE_UPS = {
    "actor_critic": lambda: (
        sampled_objective(action_values=False),
        [learners.ActorCritic(), learners.AdvantageAlignment()],
    ),
    "loqa": lambda: (
        sampled_objective(action_values=True),
        [learners.LOQA(), mixture()],
    ),
    "cola": lambda: (exact_objective(), [cola(), learners.LOQA()]),
}


def make_trainer(name, seed):
    objective, line_up = LINE_UPS[name]()
    trainer = dice_tf.Trainer(
        objective, line_up, num_seeds=2, seed=seed, initial_params="random"
    )
    trainer.compile(
        keras.optimizers.Adam(0.1),
        critic_optimizer=keras.optimizers.Adam(0.1),
        jit_compile=False,
    )
    return trainer


@pytest.mark.parametrize("name", LINE_UPS)
def test_training_continues_from_a_checkpoint_and_ends_in_a_file(
    name, tmp_path
):
    trainer, resumed = make_trainer(name, 3), make_trainer(name, 3)
    trainer.fit(verbose=0)
    checkpoint = dice_tf.callbacks.Checkpoint(tmp_path / "run.checkpoint")
    checkpoint.save(trainer, 1)
    before = trainer.take_snapshot()
    trainer.fit(epochs=2, initial_epoch=1, verbose=0)
    assert checkpoint.restore(resumed) == 1
    resumed.fit(epochs=2, initial_epoch=1, verbose=0)
    expected, found = trainer.take_snapshot(), resumed.take_snapshot()
    for one, other in zip(found.values, expected.values, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found.curves, expected.curves)
    assert found.curves.shape == (2, 2, 2)
    assert np.all(np.isfinite(found.curves))
    for player, start in zip(trainer.players, before.values, strict=False):
        assert np.any(np.asarray(player.params[0]) != np.asarray(start))
    for run in range(2):
        trainer.load_run(run)
        for i, policy in enumerate(trainer.objective.policies):
            path = tmp_path / f"policy_{run}_{i}"
            dice_tf.export.export_policy(policy, path)
            loaded = tf.saved_model.load(str(path))
            observations = tf.eye(5)
            # Of two actions the output is the log-odds of the first.
            expected = tf.sigmoid(policy(observations))[:, 0]
            probabilities = loaded.probabilities(observations)["probabilities"]
            np.testing.assert_allclose(probabilities[:, 0], expected, rtol=1e-5)
            np.testing.assert_allclose(
                policy(observations)[:, 0],
                trainer.players[i].params[0][run][:, 0],
                rtol=1e-6,
            )
