"""Two replicas compute what one does: values and derivatives of any order."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from dice_tf import replicas
from dice_tf.learners.jacobians import game_jacobian
from tests.strategies import on_replicas
from tests.toys import (
    ASYMMETRIC,
    EndsEarly,
    Plain,
    random_params,
    tabular_policies,
)

pytestmark = pytest.mark.own_process

SEED = [3, 1]
BATCH_SIZE = 6


def _game(kind="finite"):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 4, dtype="float64")
    return Plain(game) if kind == "general" else game


def _objective(kind="finite", **options):
    game = _game(kind)
    policies = tabular_policies(game)
    objective = dice_tf.objectives.DiCEObjective(
        game, policies, 0.9, BATCH_SIZE, **options
    )
    return objective, random_params(policies, seed=4)


def _tensors(params):
    return [[tf.constant(x) for x in player_params] for player_params in params]


def _assert_replicas_agree(function, rtol=1e-10):
    """Compares a function of nothing on one and on each of two replicas."""
    alone = tf.nest.flatten(function())
    for nest in on_replicas(function):
        for found, expected in zip(tf.nest.flatten(nest), alone, strict=True):
            np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-12)
    return alone


def test_lola_dice_gradients_are_those_of_the_whole_batch():
    objective, params = _objective(baseline="leave_one_out")
    learner = dice_tf.learners.LOLADiCE(2, 0.7)

    def gradient():
        return learner.gradient(objective, _tensors(params), 0, SEED)

    (found,) = _assert_replicas_agree(gradient)
    assert np.abs(found).max() > 1e-3


def test_the_jacobian_of_the_game_is_that_of_the_whole_batch():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 2, dtype="float64")
    policies = tabular_policies(game)
    objective = dice_tf.objectives.DiCEObjective(game, policies, 0.9, 4)
    params = random_params(policies, seed=4)
    # Of player 1 the two logits that matter most; the rest is constant.
    table = tf.constant(params[1][0])

    class OfTwoLogits(dice_tf.objectives.Objective):
        num_players = 1

        def _values(self, params, seed, state):
            rest = tf.concat([params[0][0], table[2:]], axis=0)
            return objective([[tf.constant(table)], [rest]], seed)[1:]

    params = [[table[:2]]]
    _assert_replicas_agree(
        lambda: game_jacobian(OfTwoLogits(), params, [0], SEED)
    )


@pytest.mark.parametrize(
    "baseline", ["leave_one_out", "state_values", "bellman_values"]
)
def test_values_and_gradients_agree_with_each_baseline(baseline):
    objective, params = _objective(baseline=baseline)
    learner = dice_tf.learners.Naive()

    def compute():
        values = objective(_tensors(params), SEED)
        play = objective.play(_tensors(params), SEED)
        gradient = learner.gradient(objective, _tensors(params), 0, SEED)
        return [values, play.values, play.entropies, gradient]

    _assert_replicas_agree(compute)


@pytest.mark.parametrize("baseline", ["leave_one_out", "critic"])
def test_directions_by_advantages_are_those_of_the_whole_batch(baseline):
    """Though the episodes of one share run longer than those of the other."""
    game = EndsEarly(_game())
    options, learner = {}, dice_tf.learners.AdvantageAlignment()
    if baseline == "critic":
        critics = [
            dice_tf.critics.tabular_critic(game, i, action_values=True)
            for i in range(2)
        ]
        for critic, start in zip(
            critics, random_params(critics, 6), strict=True
        ):
            critic.set_weights(start)
        options, learner = {"critics": critics}, dice_tf.learners.LOQA()
    policies = tabular_policies(game)
    objective = dice_tf.objectives.DiCEObjective(
        game, policies, 0.9, BATCH_SIZE, baseline, **options
    )
    params = random_params(policies, seed=4)

    def gradient():
        return learner.gradient(objective, _tensors(params), 0, SEED)

    (found,) = _assert_replicas_agree(gradient)
    assert np.abs(found).max() > 1e-3
    running = tf.reduce_sum(
        objective.play(_tensors(params), SEED).trajectory.discounts, axis=0
    )
    assert np.sum(running[:3]) != np.sum(running[3:])


def test_each_replica_plays_its_share_of_the_episodes():
    objective, params = _objective()

    def states():
        return objective.play(_tensors(params), SEED).trajectory.states

    shares = on_replicas(states)
    assert [share.shape for share in shares] == [(4, 3), (4, 3)]
    np.testing.assert_array_equal(np.concatenate(shares, axis=1), states())


def test_episodes_of_a_general_game_are_the_same():
    objective, params = _objective("general")

    def actions():
        return objective.play(_tensors(params), SEED).trajectory.actions[1]

    shares = on_replicas(actions)
    np.testing.assert_array_equal(np.concatenate(shares, axis=1), actions())


def test_what_a_head_draws_differs_by_replica():
    game = dice_tf.games.PointNavigation([0.3, -0.2], 3)
    trunk = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(2, kernel_initializer="zeros")]
    )
    policy = dice_tf.policies.with_head(
        trunk,
        lambda outputs: tfp.distributions.MultivariateNormalDiag(
            outputs, [0.1, 0.1]
        ),
    )
    objective = dice_tf.objectives.DiCEObjective(game, [policy], 0.9, 4)

    def actions():
        play = objective.play(objective.initial_params(), SEED)
        return play.trajectory.actions[0]

    first, second = on_replicas(actions)
    assert first.shape == second.shape == (3, 2, 2)
    assert np.abs(first - second).min() > 0


def test_critics_losses_and_their_gradients_agree():
    game = _game()
    policies = tabular_policies(game)
    critics = [dice_tf.critics.tabular_critic(game, i) for i in range(2)]
    objective = dice_tf.objectives.DiCEObjective(
        game, policies, 0.9, BATCH_SIZE, "critic", critics
    )
    params = random_params(policies, seed=4)
    values = random_params(critics, seed=5)

    def compute():
        play = objective.play(_tensors(params), SEED)
        critic_params = _tensors(values)
        with tf.GradientTape() as tape:
            tape.watch(critic_params)
            losses = objective.critic_losses(critic_params, play)
        return [losses, tape.gradient(losses[0], critic_params[0])]

    _assert_replicas_agree(compute)


def test_a_batch_that_cannot_be_split_is_refused():
    game = _game()
    objective = dice_tf.objectives.DiCEObjective(
        game, tabular_policies(game), 0.9, 5
    )
    with pytest.raises(
        ValueError, match="multiple of the number of replicas, 2.*batch_size=5"
    ):
        on_replicas(lambda: objective(objective.initial_params(), SEED))


def test_nothing_is_added_without_a_strategy():
    tensors = [tf.constant([1.0, 2.0])]
    for function in (
        replicas.to_replicas,
        replicas.mean_over_replicas,
        replicas.sum_over_replicas,
        replicas.on_first_replica,
    ):
        assert function(tensors)[0] is tensors[0]
    assert replicas.own_share(tensors[0]) is tensors[0]
    assert replicas.own_seed(tensors[0]) is tensors[0]
    assert replicas.share_size(5) == 5


def test_derivatives_of_any_order_cross_the_replicas():
    data = tf.constant(np.random.default_rng(2).normal(size=[6, 3]))
    start = tf.constant(np.random.default_rng(3).normal(size=[3]))

    def value(x):
        (x,) = replicas.to_replicas([x])
        mean = tf.reduce_mean(tf.exp(replicas.own_share(data) @ x[:, None]))
        return replicas.mean_over_replicas([mean])[0]

    def third_order():
        with tf.GradientTape() as outer:
            outer.watch(start)
            with tf.GradientTape() as tape:
                tape.watch(start)
                with tf.GradientTape() as inner:
                    inner.watch(start)
                    first = value(start)
                gradient = inner.gradient(first, start)
                second = value(start + 0.1 * gradient)
            shaped = tape.gradient(second, start)
            third = value(start + 0.1 * shaped)
        return outer.gradient(third, start)

    _assert_replicas_agree(third_order)


def test_sampled_tasks_have_one_value_on_all_replicas():
    policy = dice_tf.policies.with_head(
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]),
        lambda outputs: tfp.distributions.MultivariateNormalDiag(
            outputs, [0.1, 0.1]
        ),
    )

    def build_objective(goal):
        game = dice_tf.games.PointNavigation(goal, 3)
        return dice_tf.objectives.DiCEObjective(game, [policy], 0.9, 4)

    family = dice_tf.objectives.SampledTasks(
        build_objective, dice_tf.games.PointNavigation.sample_goals, 2
    )
    params = [[tf.constant(x) for x in policy.trainable_variables]]
    learner = dice_tf.learners.Naive()
    one, two = on_replicas(lambda: learner.gradient(family, params, 0, SEED))
    for x, y in zip(one, two, strict=True):
        np.testing.assert_array_equal(x, y)
