"""What XLA makes one program of."""

import keras
import numpy as np
import pytest

import dice_tf
from dice_tf.training.compilation import steps_share_program
from tests.toys import ASYMMETRIC, tabular_policies


def objective_of(batch_size, length):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, length)
    return dice_tf.objectives.DiCEObjective(
        game, tabular_policies(game), 0.9, batch_size
    )


# 2 players of 64 episodes of 128 steps draw 2**14 numbers a step and run.
@pytest.mark.parametrize(
    ("num_seeds", "num_steps", "fits"),
    [(1, 256, True), (1, 257, False), (16, 16, True), (16, 17, False)],
)
def test_steps_steps_share_program_while_what_they_draw_does(
    num_seeds, num_steps, fits
):
    objective = objective_of(64, 128)
    assert steps_share_program(objective, num_seeds, num_steps) is fits


def test_steps_that_draw_nothing_always_fit():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 128)
    exact = dice_tf.objectives.ExactObjective(game, tabular_policies(game), 0.9)
    assert steps_share_program(exact, 10**6, 10**6)


def test_large_batches_keep_a_program_for_each_step():
    for batch_size, expected in ((4, 2), (2**16, 1)):
        objective = objective_of(batch_size, 64)
        naive = dice_tf.learners.Naive()
        trainer = dice_tf.Trainer(objective, [naive, naive])
        trainer.compile(steps_per_execution=2)
        assert trainer.steps_per_program == expected


def trained(steps_per_execution):
    """Trains what remembers from step to step: a learner and Adam."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    objective = dice_tf.objectives.ExactObjective(
        game, tabular_policies(game), 0.9
    )
    learner = dice_tf.learners.LOLADiCE(
        1, 0.1, dice_tf.inner_optimizers.Adam(), carry_slots=True
    )
    trainer = dice_tf.Trainer(
        objective,
        [learner, learner],
        seed=5,
        initial_params="random",
    )
    trainer.compile(
        [keras.optimizers.Adam(0.1), keras.optimizers.Adam(0.2)],
        steps_per_execution=steps_per_execution,
    )
    trainer.fit(steps_per_epoch=3, verbose=0)
    return trainer


def test_one_program_remembers_what_its_steps_do():
    one, several = trained(1), trained(3)
    assert (one.steps_per_program, several.steps_per_program) == (1, 3)
    np.testing.assert_allclose(several.curves, one.curves, rtol=0, atol=1e-5)
    for variable, other in zip(several.variables, one.variables, strict=True):
        np.testing.assert_allclose(
            variable.numpy(),
            other.numpy(),
            rtol=1e-4,
            atol=1e-5,
            err_msg=variable.path,
        )


@pytest.mark.parametrize(
    "argument, values, error, message",
    [
        ("steps_per_execution", (-1, 0), ValueError, "must be at least 1"),
        (
            "steps_per_execution",
            (True, None, 1.5, 2.0, "2", "auto"),
            TypeError,
            "must be a whole number",
        ),
        ("critic_passes", (0,), ValueError, "must be at least 1"),
        ("critic_passes", (True, None), TypeError, "must be a whole number"),
        ("run_eagerly", (1, "False", None), TypeError, "must be True or False"),
        (
            "jit_compile",
            (1, 0.0, None, "yes"),
            ValueError,
            "must be one of True, Fal",
        ),
    ],
)
def test_a_trainer_is_not_compiled_with_what_makes_no_sense(
    argument, values, error, message
):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    objective = dice_tf.objectives.ExactObjective(
        game, tabular_policies(game), 0.9
    )
    naive = dice_tf.learners.Naive()
    trainer = dice_tf.Trainer(objective, [naive, naive])
    for value in values:
        with pytest.raises(error, match=f"`{argument}` {message}"):
            trainer.compile("sgd", **{argument: value})
    assert not trainer.compiled
    trainer.compile("sgd", steps_per_execution=np.int64(2), jit_compile=False)
    trainer.fit(steps_per_epoch=2, verbose=0)
    assert trainer.iterations == 2
