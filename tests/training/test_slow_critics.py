"""Slow copies of critics, of which the targets of critics are made."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners.learner import gradient_of
from dice_tf.models.seat_models import Weights
from tests.toys import (
    ASYMMETRIC,
    EndsEarly,
    iteration_seed,
    random_params,
    tabular_policies,
)

RATE, MOMENTUM = 0.25, 0.75  # Exact in the float32 of Keras optimisers.


def make_objective(kind=lambda game: game, momentum=MOMENTUM, one_critic=False):
    """With critics of actions and one-step targets, as SARSA has them."""
    game = kind(
        dice_tf.games.iterated_matrix_game(ASYMMETRIC, 4, dtype="float64")
    )
    policies = tabular_policies(game)
    critics = [
        dice_tf.critics.tabular_critic(game, i, action_values=True)
        for i in range(2)
    ]
    for models, seed in ((policies, 3), (critics, 4)):
        starts = random_params(models, seed)
        for model, start in zip(models, starts, strict=True):
            model.set_weights(start)
    if one_critic:
        critics = [critics[0]] * 2
    return dice_tf.objectives.DiCEObjective(
        game,
        policies,
        0.9,
        6,
        "critic",
        critics,
        critic_td_lambda=0.0,
        critic_target_momentum=momentum,
    )


def make_trainer(num_seeds=1, passes=1, **options):
    trainer = dice_tf.Trainer(
        make_objective(**options),
        [dice_tf.learners.Naive()] * 2,
        num_seeds=num_seeds,
        initial_params="current",
    )
    trainer.compile(
        # The policies stay, so that critics are all that moves.
        keras.optimizers.SGD(0.0),
        critic_optimizer=keras.optimizers.SGD(RATE),
        critic_passes=passes,
        jit_compile=False,
    )
    return trainer


class GoesOn(EndsEarly):
    """As `EndsEarly`, with other episodes behind the end of the first."""

    def step(self, state, actions, seed):
        was_running = state[1] > 0.0
        state, step = super().step(state, actions, seed)
        discounts = tf.where(was_running, step.discounts, 1.0)
        return state, step._replace(discounts=discounts)


@pytest.mark.parametrize("kind", [lambda game: game, EndsEarly, GoesOn])
def test_targets_are_made_of_the_slow_copy(kind):
    objective = make_objective(kind)
    play = objective.play(objective.initial_params(), (1, 2))
    at, slow = (
        [
            [tf.constant(x)]
            for (x,) in random_params(
                [critic.network for critic in objective.critics], seed
            )
        ]
        for seed in (5, 6)
    )
    state = objective.initial_state()
    state = state._replace(
        slow_critics=tuple(Weights(params, []) for params in slow)
    )
    with tf.GradientTape() as tape:
        tape.watch([at, slow])
        losses = objective.critic_losses(at, play, state)
    discounts = play.trajectory.discounts.numpy()
    running = np.cumprod(np.concatenate([np.ones((1, 6)), discounts[:-1]]), 0)
    for i in range(2):
        rows = np.argmax(play.trajectory.observations[i], axis=-1)
        actions = play.trajectory.actions[i].numpy()
        values, expected = (
            params[i][0].numpy()[rows, actions] for params in (at, slow)
        )
        following = np.concatenate([expected[1:], np.zeros((1, 6))])
        targets = play.trajectory.rewards[i] + 0.9 * discounts * following
        loss = np.sum(running * (values - targets) ** 2) / running.sum()
        np.testing.assert_allclose(losses[i], loss, rtol=1e-12)
    gradients = tape.gradient(losses, [at, slow])
    assert gradients[0][0][0] is not None and gradients[1] == [[None], [None]]


@pytest.mark.parametrize("num_seeds, passes", [(1, 1), (2, 2)])
def test_copies_follow_the_critics_in_every_step(num_seeds, passes):
    trainer = make_trainer(num_seeds, passes)
    objective = trainer.objective
    trainer.fit(steps_per_epoch=2, verbose=0)
    for run in range(num_seeds):
        at = [[tf.constant(x)] for x in first_critics(objective)]
        slow = at
        for iteration in range(2):
            seed = iteration_seed(run, iteration)
            play = objective.play(objective.initial_params(), seed)
            for _ in range(passes):
                at, slow = step_by_hand(objective, play, at, slow)
        for player, fast, copy in zip(trainer.players, at, slow, strict=True):
            np.testing.assert_allclose(
                player.critic_params[0][run], fast[0], rtol=1e-5
            )
            np.testing.assert_allclose(
                player.slow_critic_params[0][run], copy[0], rtol=1e-5
            )
            assert np.abs(fast[0] - copy[0]).max() > 1e-3


def test_players_who_share_a_critic_share_its_copy():
    trainer = make_trainer(one_critic=True)
    objective = trainer.objective
    trainer.fit(steps_per_epoch=2, verbose=0)
    fast = slow = tf.constant(first_critics(objective)[0])
    for iteration in range(2):
        seed = iteration_seed(0, iteration)
        play = objective.play(objective.initial_params(), seed)
        moved, _ = step_by_hand(objective, play, [[fast]] * 2, [[slow]] * 2)
        fast = moved[0][0] + moved[1][0] - fast
        slow = MOMENTUM * slow + (1.0 - MOMENTUM) * fast
    first, second = trainer.players
    np.testing.assert_allclose(first.critic_params[0][0], fast, rtol=1e-5)
    np.testing.assert_allclose(first.slow_critic_params[0][0], slow, rtol=1e-5)
    assert not second.critic_params and not second.slow_critic_params


def first_critics(objective):
    networks = [critic.network for critic in objective.critics]
    return [x for (x,) in random_params(networks, 4)]


def step_by_hand(objective, play, at, slow):
    state = objective.initial_state()
    state = state._replace(
        slow_critics=tuple(Weights(params, []) for params in slow)
    )
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(at)
        losses = objective.critic_losses(at, play, state)
    at = [
        [params[0] - RATE * gradient_of(tape, loss, params)[0]]
        for loss, params in zip(losses, at, strict=True)
    ]
    slow = [
        [MOMENTUM * copy[0] + (1.0 - MOMENTUM) * fast[0]]
        for copy, fast in zip(slow, at, strict=True)
    ]
    return at, slow


def test_training_with_slow_copies_continues_bit_by_bit(tmp_path):
    trainer = make_trainer()
    trainer.fit(verbose=0)
    checkpoint = dice_tf.callbacks.Checkpoint(tmp_path / "run.checkpoint")
    checkpoint.save(trainer, 1)
    trainer.fit(epochs=2, initial_epoch=1, verbose=0)
    resumed = make_trainer()
    assert checkpoint.restore(resumed) == 1
    resumed.fit(epochs=2, initial_epoch=1, verbose=0)
    for name in ("critic_params", "slow_critic_params"):
        for player, continued in zip(
            trainer.players, resumed.players, strict=True
        ):
            (expected,), (found,) = (
                vars(one)[name] for one in (player, continued)
            )
            np.testing.assert_array_equal(found, expected)


def test_without_momentum_there_is_no_copy():
    trainer = make_trainer(momentum=0.0)
    assert all(not player.slow_critic_params for player in trainer.players)
    with pytest.raises(ValueError, match="`critic_target_momentum`"):
        make_objective(momentum=1.5)
