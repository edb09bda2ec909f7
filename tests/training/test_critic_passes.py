"""Training critics: several passes over the play of one iteration."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners.learner import gradient_of
from tests.toys import (
    ASYMMETRIC,
    Plain,
    iteration_seed,
    random_params,
    tabular_policies,
)

RATE = 0.25  # Exact in the float32 of Keras optimisers.


def trainer_of(kind=lambda game: game, num_seeds=1, passes=2, **options):
    game = kind(
        dice_tf.games.iterated_matrix_game(ASYMMETRIC, 4, dtype="float64")
    )
    policies = tabular_policies(game)
    for policy, start in zip(policies, random_params(policies, 3), strict=True):
        policy.set_weights(start)
    critics = [dice_tf.critics.tabular_critic(game, i) for i in (0, 1)]
    for i, critic in enumerate(critics):
        critic.set_weights([np.linspace(-1, i, 5)[:, np.newaxis]])
    objective = dice_tf.objectives.DiCEObjective(
        game, policies, 0.9, 6, "critic", critics, critic_td_lambda=0.5
    )
    trainer = dice_tf.Trainer(
        objective,
        [dice_tf.learners.Naive()] * 2,
        num_seeds=num_seeds,
        initial_params="current",
    )
    trainer.compile(
        keras.optimizers.SGD(0.1),
        critic_optimizer=keras.optimizers.SGD(RATE),
        critic_passes=passes,
        **{"jit_compile": False, **options},
    )
    return trainer


def critics_of(trainer, run=0):
    return [player.critic_params[0].numpy()[run] for player in trainer.players]


def passes_by_hand(trainer, run, passes):
    """One iteration of a run, eagerly, on one play."""
    objective = trainer.objective
    play = objective.play(objective.initial_params(), iteration_seed(run, 0))
    at = [
        [tf.constant(weights[0].numpy())]
        for weights in (critic.network.weights for critic in objective.critics)
    ]
    for _ in range(passes):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(at)
            losses = objective.critic_losses(at, play)
        at = [
            [params[0] - RATE * gradient_of(tape, loss, params)[0]]
            for loss, params in zip(losses, at, strict=True)
        ]
    return [params[0].numpy() for params in at]


@pytest.mark.parametrize(
    "kind, num_seeds, passes",
    [
        (lambda game: game, 1, 1),
        (lambda game: game, 2, 3),
        (Plain, 2, 2),
    ],
    ids=["one run", "two runs", "two runs, no table"],
)
def test_each_pass_is_a_step_on_the_play_of_the_iteration(
    kind, num_seeds, passes
):
    trainer = trainer_of(kind, num_seeds, passes)
    expected = [passes_by_hand(trainer, r, passes) for r in range(num_seeds)]
    before = critics_of(trainer)
    trainer.fit(epochs=1, steps_per_epoch=1, verbose=0)
    for run in range(num_seeds):
        for i, found in enumerate(critics_of(trainer, run)):
            assert np.abs(found - before[i]).max() > 0.01
            np.testing.assert_allclose(found, expected[run][i], rtol=1e-9)


def test_passes_are_the_same_compiled_and_eagerly():
    results = []
    for chosen in ({"jit_compile": True}, {"run_eagerly": True}):
        trainer = trainer_of(num_seeds=2, **chosen)
        trainer.fit(epochs=1, steps_per_epoch=2, verbose=0)
        results.append((critics_of(trainer, 1), trainer.players[0].params[0]))
    (critics, params), (other_critics, other_params) = results
    np.testing.assert_allclose(critics, other_critics, rtol=1e-9)
    np.testing.assert_allclose(params, other_params, rtol=1e-9)


def test_players_use_their_critics_of_before_the_passes():
    moved = []
    for passes in (1, 4):
        trainer = trainer_of(passes=passes)
        trainer.fit(epochs=1, steps_per_epoch=1, verbose=0)
        moved.append(trainer.players[0].params[0].numpy())
    np.testing.assert_array_equal(*moved)


def test_the_number_of_passes_is_checked():
    with pytest.raises(ValueError, match="`critic_passes` must be at least 1"):
        trainer_of(passes=0)
    with pytest.raises(TypeError, match="`critic_passes` must be a whole num"):
        trainer_of(passes=1.5)
