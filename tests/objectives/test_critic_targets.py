"""What critics are trained on: returns, never the immediate reward."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.estimators.returns import lambda_returns
from dice_tf.play import exact_values as exact
from tests import oracles
from tests.toys import ASYMMETRIC, EndsEarly, random_params, tabular_policies

DISCOUNT = 0.9


def objective(td_lambda=1.0, kind=lambda game: game, batch_size=6):
    game = kind(
        dice_tf.games.iterated_matrix_game(ASYMMETRIC, 5, dtype="float64")
    )
    critics = [dice_tf.critics.tabular_critic(game, i) for i in (0, 1)]
    return dice_tf.objectives.DiCEObjective(
        game,
        tabular_policies(game),
        DISCOUNT,
        batch_size,
        "critic",
        critics,
        critic_td_lambda=td_lambda,
    )


def critic_params():
    rng = np.random.default_rng(2)
    return [[tf.constant(rng.normal(size=(5, 1)))] for _ in range(2)]


@pytest.mark.parametrize("kind", [lambda game: game, EndsEarly])
@pytest.mark.parametrize("td_lambda", [0.0, 0.4, 1.0])
def test_losses_are_squared_errors_against_lambda_returns(td_lambda, kind):
    """With a gradient through the value only, not through its target."""
    sampled, at = objective(td_lambda, kind), critic_params()
    play = sampled.play(sampled.initial_params(), [1, 2])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(at)
        losses = sampled.critic_losses(at, play)
    for i in range(2):
        seen = play.trajectory.observations[i].numpy()
        values = (seen @ at[i][0].numpy())[..., 0]
        discounts = DISCOUNT * play.trajectory.discounts
        if kind is EndsEarly:
            assert np.any(discounts.numpy() == 0)
        errors = values - lambda_returns(
            play.trajectory.rewards[i],
            values,
            discount=discounts,
            lambda_=td_lambda,
        )
        # What follows the end of an episode does not count.
        counts = oracles.discount_weights(play.trajectory.discounts.numpy())
        errors = counts * errors.numpy()
        total = counts.sum()
        np.testing.assert_allclose(
            losses[i], np.sum(errors**2) / total, rtol=1e-12
        )
        gradient = 2 * np.einsum("tb,tbo->o", errors, seen) / total
        np.testing.assert_allclose(
            tape.gradient(losses[i], at[i][0])[:, 0], gradient, rtol=1e-10
        )
        assert tape.gradient(losses[i], at[1 - i][0]) is None


def test_without_critics_there_is_nothing_to_lose():
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    sampled = dice_tf.objectives.DiCEObjective(
        game, tabular_policies(game), 0.9, 4, None
    )
    play = sampled.play(sampled.initial_params(), [1, 2])
    assert [float(x) for x in sampled.critic_losses([[], []], play)] == [0, 0]


@pytest.mark.parametrize("td_lambda", [1.0, 0.5])
def test_critics_converge_to_exact_state_values(td_lambda):
    """Of the prisoner's dilemma; far from the immediate reward."""
    discount, length = 0.7, 60
    game = dice_tf.games.iterated_prisoners_dilemma(length, dtype="float64")
    policies = tabular_policies(game)
    for policy, weights in zip(
        policies, random_params(policies, 4), strict=True
    ):
        policy.set_weights(weights)
    sampled = dice_tf.objectives.DiCEObjective(
        game,
        policies,
        discount,
        200,
        "critic",
        [dice_tf.critics.tabular_critic(game, i) for i in (0, 1)],
        critic_td_lambda=td_lambda,
    )
    trainer = dice_tf.Trainer(sampled, [dice_tf.learners.Naive()] * 2)
    trainer.compile(
        # Players that do not move, so that the values stay the same.
        optimizer=keras.optimizers.SGD(0.0),
        critic_optimizer=keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(0.5, 600)
        ),
        critic_passes=10,
        jit_compile=False,
    )
    trainer.fit(epochs=1, steps_per_epoch=60, verbose=0)

    tables = [
        actor.log_prob_table(actor.model.weights()) for actor in sampled.actors
    ]
    for i in range(2):
        expected = exact.state_values(game, tables, discount, None)[:, i]
        found = trainer.players[i].critic_params[0].numpy()[0, :, 0]
        # From what a player sees to the states of the game.
        found = game.observations[i] @ found
        # The end of the episode, in sight for 1 step in 20, takes a little.
        np.testing.assert_allclose(found[:4], expected[:4], atol=0.35)
        rewards = [-1.0, -3.0, 0.0, -2.0]
        assert np.abs(found[:4] - rewards).max() > 1.0
