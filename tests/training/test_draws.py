"""Random bits that a program of their own computes."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.kernels.draws import choose_draw, draw_compiled
from dice_tf.kernels.philox import draw_many
from dice_tf.seeds import HoistedSeed, child_seeds, private_seed, split_seed
from tests.graphs import operations_with_calls
from tests.toys import ASYMMETRIC, tabular_policies

KERNEL = "StatelessRandomUniformFullIntV2"


def kernels_of(function, *inputs):
    """Returns how often a function's graph draws by TensorFlow's kernels."""
    graph = function.get_concrete_function(*inputs).graph
    return operations_with_calls(graph).count(KERNEL)


def large_objective():
    """Plays that draw over 2**15 numbers."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 64)
    return dice_tf.objectives.DiCEObjective(
        game, tabular_policies(game), 0.9, batch_size=512
    )


@pytest.mark.parametrize(("length", "num_kernels"), [(2**14, 0), (99, 4)])
def test_many_numbers_are_drawn_by_a_program(length, num_kernels):
    seeds = tf.constant([[0, 1], [7, 123456], [2**31 - 1, 0], [5, 5]])
    draw = tf.function(lambda keys: draw_compiled(keys, [2, length // 2]))
    expected = draw_many(seeds, [2, length // 2])
    np.testing.assert_array_equal(draw(seeds), expected)
    assert kernels_of(draw, seeds) == num_kernels


def test_no_program_draws_within_one_of_the_caller():
    chosen = []

    @tf.function(jit_compile=True)
    def step(x):
        chosen.append(choose_draw(True))
        return x

    step.get_concrete_function(tf.constant(0))
    step(tf.constant(0.0))
    assert chosen == [draw_many, draw_many]
    tf.function(lambda: chosen.append(choose_draw(True)))()
    assert chosen[2:] == [draw_compiled]
    assert choose_draw(False) == draw_many


def test_a_large_step_draws_by_kernels_in_a_program_of_the_caller():
    naive = dice_tf.learners.Naive()
    trainer = dice_tf.Trainer(large_objective(), [naive, naive])
    trainer.compile("sgd")
    step = tf.function(lambda: trainer.train_step(None), jit_compile=True)
    assert kernels_of(step) > 0


def test_descendants_of_a_seed_draw_as_it_does():
    def draw(keys, shape):
        raise AssertionError

    seed = HoistedSeed(tf.constant([[3, 4]]), tf.constant(0), draw=draw)
    seeds = [
        split_seed(seed, 2)[1],
        private_seed(seed),
        child_seeds(seed, 3)(tf.constant(1)),
    ]
    assert all(child.draw is draw for child in seeds)


def test_a_trainer_draws_the_same_whether_or_not_xla_does():
    objective = large_objective()
    naive = dice_tf.learners.Naive()
    curves = {}
    for jit_compile in (True, False):
        trainer = dice_tf.Trainer(
            objective,
            [naive, naive],
            num_seeds=2,
            seed=2,
            initial_params="random",
        )
        # Several steps and runs draw at once.
        trainer.compile("sgd", jit_compile=jit_compile, steps_per_execution=2)
        trainer.fit(steps_per_epoch=2, verbose=0)
        step = tf.function(lambda trainer=trainer: trainer.train_step(None))
        assert (kernels_of(step) == 0) is jit_compile
        curves[jit_compile] = trainer.curves
    np.testing.assert_allclose(curves[True], curves[False], rtol=1e-5)
