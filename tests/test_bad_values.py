"""Arguments of the right kind that cannot be used: errors that name them."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf

ESTIMATORS = dice_tf.estimators
STEPS = tf.ones([3, 4])


@pytest.mark.parametrize(
    "rewards", [np.ones([3], np.float16), 1.0 + 2.0j, [1.0, 2.0]]
)
def test_rewards_have_two_axes_before_values_are_cast_to_them(rewards):
    message = r"`rewards` must have shape \[T, B\] \(rank 2\)"
    with pytest.raises(ValueError, match=message):
        ESTIMATORS.lambda_returns(rewards, STEPS, discount=0.9)


@pytest.mark.parametrize("discounts", [1.5, -1e30, [1.0, 0.0]])
def test_steps_run_by_time_and_episode(discounts):
    with pytest.raises(ValueError, match=r"`discounts` must have shape \[T, B"):
        ESTIMATORS.running_steps(discounts)


def test_a_pool_names_its_players_if_they_are_too_many():
    message = "`capacity` must be at least num_players.*num_players=1000000000"
    with pytest.raises(ValueError, match=message):
        dice_tf.games.CommonPool(num_players=10**9)


def test_functions_take_what_they_are_called_with():
    objective = dice_tf.objectives.FunctionObjective(
        [lambda params: tf.reduce_sum(params[0][0])]
    )

    def draw(seed, number):
        return tf.zeros([number])

    family = dice_tf.objectives.SampledTasks(lambda task: objective, draw, 2)
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    policy = dice_tf.policies.mlp(game, 0)
    trainer = dice_tf.Trainer(
        objective, [dice_tf.learners.Naive()], initial_params=[[np.ones([1])]]
    )
    for name, call in {
        "build_objective": lambda function: dice_tf.objectives.SampledTasks(
            function, draw, 2
        ),
        "sample_tasks": lambda function: dice_tf.objectives.SampledTasks(
            lambda task: objective, function, 2
        ),
        "function": objective.average,
        "head": lambda function: dice_tf.policies.with_head(policy, function),
    }.items():
        with pytest.raises(TypeError, match=f"`{name}` must be a func.*takes "):
            call(lambda: None)
    for call in (family.average, trainer.map_loaded_runs):
        with pytest.raises(TypeError, match="`function` must be a f.*takes "):
            call(lambda: None)
    for make in (dice_tf.bridges.from_pettingzoo, dice_tf.bridges.PythonGame):
        with pytest.raises(TypeError, match="`make_environment` must .*takes "):
            make(lambda seed: None, 3)


def test_nobody_has_no_parameters():
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    learner = dice_tf.opponent_models.OpponentModelling(
        dice_tf.learners.Naive(), [None, dice_tf.policies.mlp(game, 1)]
    )
    for params in ([], ()):
        with pytest.raises(ValueError, match="`params` must not be empty"):
            learner.init(params)
