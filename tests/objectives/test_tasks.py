"""Families of tasks: the mean over them, however they are given."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.games import PointNavigation
from dice_tf.objectives import (
    DiCEObjective,
    FiniteTasks,
    FunctionObjective,
    SampledTasks,
)
from dice_tf.seeds import split_seed, uniform
from tests.toys import (
    ASYMMETRIC,
    exact_objective,
    iteration_seed,
    random_params,
    tabular_policies,
)

SEED = tf.constant([3, 4])
NUM_TASKS = 3


def bowl(centre):
    """-(theta - centre)^2 / 2, for a task that is a number."""
    return FunctionObjective(
        [lambda params: -0.5 * (params[0][0] - centre) ** 2]
    )


def sample_centres(seed, num_tasks):
    return uniform(seed, [num_tasks], tf.float64)


def sampled_bowls():
    return SampledTasks(bowl, sample_centres, NUM_TASKS)


def centres_of(seed):
    return sample_centres(split_seed(seed, 2)[0], NUM_TASKS).numpy()


def sampled_games():
    """Two sampled objectives of one pair of policies."""
    games = [
        dice_tf.games.iterated_matrix_game(
            sign * ASYMMETRIC, 3, dtype="float64"
        )
        for sign in (1.0, -2.0)
    ]
    policies = tabular_policies(games[0])
    return [DiCEObjective(game, policies, 0.9, 8) for game in games]


def navigation(num_tasks=2, episode_length=3):
    inputs = keras.Input((2,))
    policy = dice_tf.policies.with_head(
        keras.Model(inputs, keras.layers.Dense(2)(inputs)), _normal
    )

    def build(goal):
        game = PointNavigation(goal, episode_length)
        return DiCEObjective(game, [policy], 0.9, 4)

    return SampledTasks(build, PointNavigation.sample_goals, num_tasks)


def _normal(outputs):
    from tensorflow_probability import distributions

    return distributions.MultivariateNormalDiag(outputs, [0.1, 0.1])


def test_finite_tasks_are_the_mean_of_their_values_and_gradients():
    tasks = [exact_objective(sign * ASYMMETRIC, 0.9, 3) for sign in (1.0, -3.0)]
    policies = tasks[0].policies
    tasks[1].policies = policies
    family = FiniteTasks(tasks)
    params = random_params(policies, 0)
    assert family.num_players == 2 and family.policies == policies
    assert family.return_scale == pytest.approx(0.1)
    values = [task(params) for task in tasks]
    for found, of_tasks in zip(
        family(params), zip(*values, strict=True), strict=True
    ):
        np.testing.assert_allclose(found, np.mean(of_tasks), rtol=1e-12)
    naive = dice_tf.learners.Naive()
    (found,) = naive.gradient(family, params, 1)
    directions = [naive.gradient(task, params, 1)[0] for task in tasks]
    np.testing.assert_allclose(found, np.mean(directions, axis=0), rtol=1e-12)


def test_each_task_is_played_with_a_seed_of_its_own():
    tasks = sampled_games()
    family = FiniteTasks(tasks)
    params = random_params(tasks[0].policies, 0)
    seeds = split_seed(SEED, 2)
    values = [
        task(params, seed) for task, seed in zip(tasks, seeds, strict=True)
    ]
    np.testing.assert_allclose(
        family(params, SEED), np.mean(values, axis=0), rtol=1e-12
    )


def test_play_reports_means_over_the_tasks():
    tasks = sampled_games()
    family = FiniteTasks(tasks)
    params = random_params(tasks[0].policies, 0)
    play = family.play(params, SEED)
    np.testing.assert_allclose(play.values, family(params, SEED), rtol=1e-12)
    entropies = [
        task.play(params, seed).entropies
        for task, seed in zip(tasks, split_seed(SEED, 2), strict=True)
    ]
    np.testing.assert_allclose(play.entropies, np.mean(entropies, axis=0))
    assert play.trajectory is None


@pytest.mark.parametrize("compile_it", [False, True])
def test_sampled_tasks_are_the_mean_over_those_that_the_seed_draws(compile_it):
    family = sampled_bowls()
    theta = tf.constant(0.7, tf.float64)

    def value_and_slope(seed):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            (value,) = family([[theta]], seed)
        return value, tape.gradient(value, theta)

    function = tf.function(value_and_slope) if compile_it else value_and_slope
    value, slope = function(SEED)
    centres = centres_of(SEED)
    np.testing.assert_allclose(value, np.mean(-0.5 * (0.7 - centres) ** 2))
    np.testing.assert_allclose(slope, np.mean(centres - 0.7))
    assert float(function(tf.constant([3, 5]))[0]) != float(value)


def test_sampled_play_is_the_same_eagerly_and_in_a_graph():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
    policies = tabular_policies(game)
    family = SampledTasks(
        lambda centre: DiCEObjective(game, policies, 0.9, 8),
        sample_centres,
        NUM_TASKS,
    )
    params = random_params(policies, 0)
    eager = family(params, SEED)
    np.testing.assert_allclose(
        tf.function(lambda: family(params, SEED))(), eager, rtol=1e-12
    )
    # Fresh play in each task.
    (one,) = family.average(
        lambda task, seed: [task(params, seed)[0] ** 2], SEED
    )
    assert float(one) > float(eager[0]) ** 2 + 1e-6


def test_tasks_in_groups_of_episodes_keep_their_gradient():
    """Vectorised, the groups would lose it without an error."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 2, dtype="float64")
    policies = tabular_policies(game)
    params = random_params(policies, 0)
    found = []
    for num_groups in (1, 2):

        @tf.function(autograph=False)
        def gradient(num_groups=num_groups):
            grouped = SampledTasks(
                lambda centre: DiCEObjective(
                    game, policies, 0.9, 4, num_groups=num_groups
                ),
                sample_centres,
                2,
            )
            table = tf.constant(params[0][0])
            with tf.GradientTape() as tape:
                tape.watch(table)
                value = grouped([[table], params[1]], SEED)[0]
            return tape.gradient(value, table)

        found.append(gradient())
    assert np.abs(found[0]).max() > 1e-3
    np.testing.assert_allclose(found[1], found[0], rtol=1e-10)


def test_runs_of_a_trainer_draw_tasks_of_their_own():
    trainer = dice_tf.Trainer(
        sampled_bowls(),
        [dice_tf.learners.Naive()],
        num_seeds=2,
        seed=5,
        initial_params=[[[np.array(0.2)]], [[np.array(0.9)]]],
    )
    trainer.compile(optimizer=keras.optimizers.SGD(1.0))
    trainer.fit(verbose=0)
    expected = [
        np.mean(centres_of(iteration_seed(5 + run, 0))) for run in (0, 1)
    ]
    np.testing.assert_allclose(trainer.players[0].params[0], expected)


def test_many_runs_of_sampled_continuous_games_are_refused():
    trainer = dice_tf.Trainer(
        navigation(),
        [dice_tf.learners.Naive()],
        num_seeds=2,
        initial_params=[[[np.zeros([2, 2]), np.zeros(2)]]] * 2,
    )
    trainer.compile()
    with pytest.raises(ValueError, match="one run at a time .num_seeds=1."):
        trainer.fit(verbose=0)


@pytest.mark.parametrize(
    ("objectives", "error", "message"),
    [
        (None, TypeError, "`objectives` must be a list with one objective"),
        ([], ValueError, "`objectives` must not be empty"),
        (["a"], TypeError, "must be a dice_tf.objectives.Objective"),
    ],
)
def test_what_is_no_list_of_tasks_is_refused(objectives, error, message):
    with pytest.raises(error, match=message):
        FiniteTasks(objectives)


def test_tasks_that_do_not_fit_together_are_refused():
    first, second = sampled_games()
    others = [
        bowl(0.0),
        sampled_games()[0],
        DiCEObjective(first.game, first.policies, 0.8, 8),
    ]
    for other in others:
        with pytest.raises(ValueError, match=r"objectives\[2\].*differs"):
            FiniteTasks([first, second, other])


def test_critics_are_refused():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    critics = [dice_tf.critics.tabular_critic(game, i) for i in range(2)]
    task = DiCEObjective(
        game, tabular_policies(game), 0.9, 8, "critic", critics
    )
    for build in (
        lambda: FiniteTasks([task]),
        lambda: SampledTasks(lambda centre: task, sample_centres, 2),
    ):
        with pytest.raises(ValueError, match="must have no critics"):
            build()


def test_sampled_tasks_check_what_they_get():
    with pytest.raises(ValueError, match="`num_tasks` must be at least 1"):
        SampledTasks(bowl, sample_centres, 0)
    with pytest.raises(ValueError, match="a leading axis of num_tasks=2"):
        SampledTasks(bowl, lambda seed, num_tasks: tf.zeros([3]), 2)
    with pytest.raises(TypeError, match="must be a dice_tf.objectives.Obj"):
        SampledTasks(lambda centre: None, sample_centres, 2)
    with pytest.raises(ValueError, match="`seed` must be an int32 tensor"):
        sampled_bowls()([[tf.constant(0.0)]])
