"""MAML: the total derivative of the value after steps of one's own."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.inner_optimizers import SGD, Adam, ClipByGlobalNorm
from dice_tf.learners import MAML, LOLADiCE, Naive
from dice_tf.objectives import (
    DiCEObjective,
    ExactObjective,
    FiniteTasks,
    FunctionObjective,
    SampledTasks,
    SurrogateObjective,
)
from dice_tf.seeds import split_seed, uniform
from tests import oracles
from tests.learners import settings
from tests.objectives.test_tasks import navigation
from tests.toys import iteration_seed

pytestmark = pytest.mark.own_process

DISCOUNT, LENGTH, SHAPE = 0.9, 4, (3, 3)
SEED = tf.constant([3, 4])


@functools.cache
def processes():
    """Two random decision processes and their policy, float64."""
    rng = np.random.default_rng(0)
    games = [
        dice_tf.games.FiniteGame(
            rng.normal(size=(1, *SHAPE)),
            rng.dirichlet(np.ones(SHAPE[0]), size=SHAPE),
            rng.dirichlet(np.ones(SHAPE[0])),
            episode_length=LENGTH,
            dtype="float64",
        )
        for _ in range(2)
    ]
    return games, dice_tf.policies.tabular(games[0], 0)


def family_of(kind, *arguments):
    games, policy = processes()
    return FiniteTasks(
        [kind(game, [policy], DISCOUNT, *arguments) for game in games]
    )


def logits():
    return np.random.default_rng(1).normal(size=SHAPE)


def direction(learner, objective, theta, seed=None):
    (found,) = learner.gradient(objective, [[tf.constant(theta)]], 0, seed)
    return found.numpy()


# --- Exact meta-gradients ---------------------------------------------------


@pytest.mark.parametrize("num_steps", [1, 3])
@pytest.mark.parametrize(
    "optimizer",
    [None, SGD(0.6), Adam(epsilon=0.1), ClipByGlobalNorm(0.1, Adam(0.5))],
)
def test_it_is_the_gradient_of_the_value_reached(num_steps, optimizer):
    """Against finite differences, on random decision processes."""
    family = family_of(ExactObjective)
    learner = MAML(num_steps, 0.7, optimizer)
    value = tf.function(
        lambda theta: learner.adapted_values(family, [[theta]])[0]
    )
    expected = oracles.gradient(
        lambda x: float(value(tf.constant(x))), logits()
    )
    found = direction(learner, family, logits())
    np.testing.assert_allclose(found, expected, atol=1e-8)
    naive = direction(Naive(), family, logits())
    assert np.linalg.norm(found - naive) > 0.03 * np.linalg.norm(naive)


def quadratics(num_tasks=3, size=2, seed=0):
    """Curvatures and centres of V_c(x) = -(x - c)' A (x - c) / 2, by task."""
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(num_tasks, size, size))
    return roots @ roots.transpose(0, 2, 1), rng.normal(size=(num_tasks, size))


def quadratic_task(curvature, centre):
    def value(params):
        offset = params[0][0] - centre
        return -0.5 * tf.tensordot(
            offset, tf.linalg.matvec(curvature, offset), 1
        )

    return FunctionObjective([value])


@pytest.mark.parametrize("num_steps", [0, 1, 2])
def test_quadratic_tasks_have_a_closed_form(num_steps):
    """x' - c = (I - aA)^K (x - c), so the direction is the mean of
    -(I - aA)^K A (I - aA)^K (x - c)."""
    rate, x = 0.2, np.array([0.5, -1.2])
    curvatures, centres = quadratics()
    family = FiniteTasks(
        [
            quadratic_task(*task)
            for task in zip(curvatures, centres, strict=True)
        ]
    )
    expected = []
    for A, c in zip(curvatures, centres, strict=True):
        shrink = np.linalg.matrix_power(np.eye(2) - rate * A, num_steps)
        expected.append(-shrink @ A @ shrink @ (x - c))
    found = direction(MAML(num_steps, rate), family, x)
    np.testing.assert_allclose(found, np.mean(expected, axis=0), rtol=1e-12)


def test_tasks_that_are_drawn_are_adapted_to_one_by_one():
    """As above, for centres that are the tasks and a curvature of 1."""

    def sample(seed, num_tasks):
        return uniform(seed, [num_tasks, 2], tf.float64)

    curvature = np.diag([1.0, 3.0])
    family = SampledTasks(
        functools.partial(quadratic_task, curvature), sample, 4
    )
    x = np.array([0.5, -1.2])
    learner = MAML(1, 0.2)
    centres = sample(split_seed(SEED, 2)[0], 4).numpy()
    shrink = np.array([0.8, 0.4])
    expected = np.mean(-(shrink**2) * [1.0, 3.0] * (x - centres), axis=0)
    compiled = tf.function(
        lambda: learner.gradient(family, [[tf.constant(x)]], 0, SEED)[0],
        jit_compile=True,
    )
    np.testing.assert_allclose(compiled(), expected, rtol=1e-12)
    np.testing.assert_allclose(direction(learner, family, x, SEED), expected)


def test_only_the_learning_player_moves():
    setting = settings.make("matrix_2")
    learner = MAML(2, 0.4, SGD(0.5))
    for player_id in range(2):
        adapted = learner.adapt(setting.objective, setting.params, player_id)
        other = 1 - player_id
        np.testing.assert_array_equal(
            adapted[other][0], setting.params[other][0]
        )

        def value(x, player_id=player_id):
            params = oracles.replace(setting.params, player_id, [x])
            values = learner.adapted_values(
                setting.objective, params, player_id
            )
            return float(values[player_id])

        expected = oracles.gradient(value, setting.params[player_id][0])
        found = setting.direction(learner, player_id)
        np.testing.assert_allclose(found, expected.ravel(), atol=1e-8)


# --- Truncation -------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [SGD(), SGD(0.6), Adam(epsilon=0.1)])
def test_with_no_step_differentiated_it_is_first_order(optimizer):
    """The gradient at the parameters reached, as if they were the start."""
    family = family_of(ExactObjective)
    learner = MAML(2, 0.7, optimizer, num_differentiated=0)
    expected = []
    for task in family.objectives:
        reached = learner.adapt(task, [[logits()]])
        expected.append(Naive().gradient(task, reached, 0)[0])
    found = direction(learner, family, logits())
    np.testing.assert_allclose(found, np.mean(expected, axis=0), rtol=1e-12)
    whole = direction(MAML(2, 0.7, optimizer), family, logits())
    assert np.linalg.norm(found - whole) > 1e-2


@pytest.mark.parametrize("kept", [0, 1, 2, 3, 5])
def test_the_last_steps_alone_can_be_differentiated(kept):
    """k of K from here are k of k from where the first K - k lead."""
    task = family_of(ExactObjective).objectives[0]
    learner = MAML(3, 0.7, num_differentiated=kept)
    constant = max(0, 3 - kept)
    reached = MAML(constant, 0.7).adapt(task, [[logits()]])
    expected = direction(MAML(3 - constant, 0.7), task, reached[0][0].numpy())
    found = direction(learner, task, logits())
    np.testing.assert_allclose(found, expected, rtol=1e-12)


# --- Degenerate cases -------------------------------------------------------


@pytest.mark.parametrize("kind", ["exact", "sampled"])
def test_without_steps_it_is_naive(kind):
    family = (
        family_of(ExactObjective)
        if kind == "exact"
        else family_of(DiCEObjective, 8)
    )
    for objective in (family, family.objectives[0]):
        np.testing.assert_array_equal(
            direction(MAML(0, 0.7), objective, logits(), SEED),
            direction(Naive(), objective, logits(), SEED),
        )


def test_with_a_rate_of_0_it_is_naive():
    family = family_of(ExactObjective)
    np.testing.assert_allclose(
        direction(MAML(2, 0.0), family, logits()),
        direction(Naive(), family, logits()),
        rtol=1e-13,
    )


def test_a_fixed_policy_has_no_direction():
    objective = FunctionObjective([lambda params: tf.constant(1.0)])
    assert MAML().gradient(objective, [[]], 0) == []


def test_a_family_of_one_task_is_the_task():
    task = family_of(ExactObjective).objectives[0]
    learner = MAML(2, 0.7)
    np.testing.assert_array_equal(
        direction(learner, FiniteTasks([task]), logits()),
        direction(learner, task, logits()),
    )


# --- Sampled meta-gradients -------------------------------------------------


def test_every_evaluation_plays_afresh():
    """Two steps of adaptation and a value, from three seeds."""
    task = family_of(DiCEObjective, 8).objectives[0]
    learner, seen = MAML(2, 0.7), []

    class Recorded(dice_tf.objectives.Objective):
        num_players = 1

        def _values(self, params, seed, state):
            seen.append(tuple(np.asarray(seed)))
            return task(params, seed, state)

    values = learner.adapted_values(Recorded(), [[logits()]], 0, SEED)
    assert len(set(seen)) == 3 and seen[0] == tuple(SEED.numpy())
    adapted = learner.adapt(Recorded(), [[logits()]], 0, SEED)
    assert np.abs(adapted[0][0] - logits()).max() > 1e-3
    # Finite differences would need one seed: the gradient has the same play.
    first = seen[:3]
    direction(learner, Recorded(), logits(), SEED)
    assert seen[-3:] == first and np.isfinite(values[0])


def sampled_cosines(kind, batch_size, num_seeds=10):
    """Cosines of sampled meta-gradients with the exact one."""
    learner = MAML(1, 2.0)
    exact = direction(learner, family_of(ExactObjective), logits())
    family = family_of(kind, batch_size)
    sample = tf.function(
        lambda seed: learner.gradient(
            family, [[tf.constant(logits())]], 0, seed
        )[0]
    )
    found = [sample(tf.constant([7, i])).numpy() for i in range(num_seeds)]
    return np.array(
        [
            np.sum(x * exact) / np.linalg.norm(x) / np.linalg.norm(exact)
            for x in found
        ]
    )


def test_dice_follows_the_exact_meta_gradient_and_the_surrogate_does_not():
    dice = sampled_cosines(DiCEObjective, 2000)
    surrogate = sampled_cosines(SurrogateObjective, 2000)
    assert dice.mean() >= 0.98
    drops = dice - surrogate
    assert drops.mean() >= 3.0 * drops.std(ddof=1) / np.sqrt(len(drops))
    assert drops.mean() > 0.01


def test_the_surrogate_of_a_softmax_has_nearly_no_curvature():
    """With a baseline it tends to first-order MAML, and not to MAML.

    The second derivative of a softmax's log-probability is the same for all
    actions, so that only advantages which do not centre the state's are left.
    """
    learner = MAML(1, 2.0)
    exact = family_of(ExactObjective)
    whole = direction(learner, exact, logits())
    first = direction(MAML(1, 2.0, num_differentiated=0), exact, logits())
    family = family_of(SurrogateObjective, 4000, "state_values")
    found = np.mean(
        [
            direction(learner, family, logits(), tf.constant([8, i]))
            for i in range(4)
        ],
        axis=0,
    )
    assert np.linalg.norm(found - first) < 0.5 * np.linalg.norm(found - whole)


# --- In the trainer ---------------------------------------------------------


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_compiled_step_of_many_runs_is_that_of_each(jit_compile):
    family = family_of(ExactObjective)
    learner = MAML(2, 0.7, Adam(epsilon=0.1))
    starts = [[[logits() + run]] for run in range(2)]
    trainer = dice_tf.Trainer(
        family, [learner], num_seeds=2, initial_params=starts
    )
    trainer.compile(
        optimizer=keras.optimizers.SGD(0.1), jit_compile=jit_compile
    )
    trainer.fit(steps_per_epoch=2, verbose=0)
    for run, ((theta,),) in enumerate(starts):
        for _ in range(2):
            theta = theta + 0.1 * direction(learner, family, theta)
        np.testing.assert_allclose(
            trainer.players[0].params[0][run], theta, rtol=1e-6
        )
    # The policies of the tasks hold what was learned.
    np.testing.assert_allclose(
        family.policies[0].trainable_variables[0],
        trainer.players[0].params[0][0],
    )


def test_a_trainer_meta_learns_from_sampled_play_in_many_runs():
    family = family_of(DiCEObjective, 8)
    starts = [[[logits()]], [[logits()]]]
    trainer = dice_tf.Trainer(
        family, [MAML(1, 0.7)], num_seeds=2, initial_params=starts
    )
    trainer.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=False)
    trainer.fit(verbose=0)
    for run in range(2):
        expected = logits() + 0.1 * direction(
            MAML(1, 0.7), family, logits(), iteration_seed(run, 0)
        )
        found = trainer.players[0].params[0][run]
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_trainer_meta_learns_on_sampled_continuous_tasks():
    family = navigation(episode_length=2)
    start = [[[np.full([2, 2], 0.1, np.float32), np.zeros(2, np.float32)]]]
    trainer = dice_tf.Trainer(family, [MAML(1, 0.1)], initial_params=start)
    trainer.compile(optimizer=keras.optimizers.SGD(0.1))
    trainer.fit(verbose=0)
    moves = [
        np.abs(new[0] - old).max()
        for new, old in zip(trainer.players[0].params, start[0][0], strict=True)
    ]
    assert 0.0 < min(moves) and max(moves) < 1.0
    assert trainer.curves.shape == (1, 1, 1) and trainer.curves[0] < 0.0


# --- Errors -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"num_steps": -1}, ValueError, "`num_steps` must be at least 0"),
        ({"num_steps": 1.5}, TypeError, "`num_steps` must be a whole number"),
        (
            {"inner_learning_rate": -0.1},
            ValueError,
            "`inner_learning_rate` must be finite and at least 0",
        ),
        (
            {"inner_optimizer": keras.optimizers.SGD()},
            TypeError,
            "`inner_optimizer` must be a dice_tf.inner_optimizers.InnerOpt",
        ),
        (
            {"num_differentiated": -1},
            ValueError,
            "`num_differentiated` must be at least 0",
        ),
    ],
)
def test_arguments_out_of_their_range_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        MAML(**arguments)


def test_a_player_that_does_not_exist_is_refused():
    task = family_of(ExactObjective).objectives[0]
    for method in (MAML().adapt, MAML().adapted_values):
        with pytest.raises(ValueError, match="`player_id` must be below"):
            method(task, [[logits()]], 1)


def test_it_mirrors_lola_dice():
    """With the values of a team, my steps are the steps of my opponent."""
    setting = settings.make("quadratic_2")
    team = FunctionObjective([lambda params: setting.objective(params)[0]] * 2)
    adapted = MAML(2, 0.3).adapt(team, setting.params, 1)
    imagined = LOLADiCE(2, 0.3).look_ahead(team, setting.params, 0, [None] * 2)
    for one, other in zip(
        tf.nest.flatten(adapted), tf.nest.flatten(imagined), strict=True
    ):
        np.testing.assert_array_equal(one, other)
