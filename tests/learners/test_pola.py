"""POLA: proximal steps, inner and outer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners import POLA, LOLADiCE
from dice_tf.learners.proximal import ProximalObjective
from dice_tf.opponent_models import OpponentModelling
from tests import oracles
from tests.learners import settings
from tests.toys import (
    ASYMMETRIC,
    THREE_PLAYERS,
    exact_objective,
    random_params,
    tabular_policies,
)

pytestmark = pytest.mark.own_process

SEED = (3, 4)
DISCOUNT, LENGTH = 0.9, 3


# --- The definition, in NumPy -----------------------------------------------


def visits(thetas, num_actions):
    """d(s): shares of discounted visits."""
    p = oracles.state_distributions(thetas, num_actions, LENGTH)
    d = DISCOUNT ** np.arange(LENGTH) @ p
    return d / d.sum()


def penalty(theta, anchor, d, player_id, num_actions):
    """sum_s d(s) KL(pi(. | s) || anchor(. | s)), with d given."""
    pi, old = oracles.policy(theta), oracles.policy(anchor)
    rows = [
        oracles.observation(previous, player_id, num_actions)
        for previous in [*oracles.joint_actions(num_actions), None]
    ]
    return d @ np.sum(pi * (np.log(pi) - np.log(old)), axis=1)[rows]


class Oracle:
    """The outer gradient of player i, by differences through inner steps.

    The visits that weigh the penalties are those of the base point: the
    first pass notes them, and later passes use them.
    """

    def __init__(self, payoffs, start, player_id, num_lookaheads, rates):
        self.payoffs, self.start, self.i = payoffs, start, player_id
        self.K, self.rates = num_lookaheads, rates
        self.num_actions = payoffs.shape[1:]

    def values(self, thetas):
        return oracles.values(self.payoffs, thetas, DISCOUNT, LENGTH)

    def shaped(self, theta, b_in, b_out, noted, frozen):
        thetas = oracles.replace(self.start, self.i, theta)
        for _ in range(self.K):
            d = self.visits(thetas, noted, frozen)
            gradients = [
                oracles.complex_step_gradient(
                    lambda x, j=j, at=thetas, d=d: (
                        self.values(oracles.replace(at, j, x))[j]
                        - b_in * self.penalty(x, d, j)
                    ),
                    thetas[j],
                )
                for j in range(len(thetas))
            ]
            thetas = [
                theta if j == self.i else theta + self.rates[j] * g
                for j, (theta, g) in enumerate(
                    zip(thetas, gradients, strict=True)
                )
            ]
        d = self.visits(thetas, noted, frozen)
        return self.values(thetas)[self.i] - b_out * self.penalty(
            theta, d, self.i
        )

    def visits(self, thetas, noted, frozen):
        if not frozen:
            noted.append(visits(thetas, self.num_actions))
            return noted[-1]
        noted.append(noted.pop(0))
        return noted[-1]

    def penalty(self, theta, d, j):
        return penalty(theta, self.start[j], d, j, self.num_actions)

    def gradient(self, theta, b_in, b_out):
        noted = []
        self.shaped(theta, b_in, b_out, noted, frozen=False)
        return oracles.gradient(
            lambda x: self.shaped(x, b_in, b_out, noted, frozen=True), theta
        )

    def move(self, num_outer_steps, rate, b_in, b_out):
        theta = self.start[self.i]
        for _ in range(num_outer_steps):
            theta = theta + rate * self.gradient(theta, b_in, b_out)
        return theta - self.start[self.i]


def matrix_game(payoffs):
    objective = exact_objective(payoffs, DISCOUNT, LENGTH)
    return objective, random_params(objective.policies, 0)


@pytest.mark.parametrize(
    "payoffs, player_id, b_in, b_out",
    [
        (ASYMMETRIC, 0, 0.8, 1.5),
        (ASYMMETRIC, 1, 0.8, 0.0),
        (ASYMMETRIC, 1, 0.0, 1.5),
        (THREE_PLAYERS, 1, 0.8, 1.5),
    ],
)
def test_the_move_is_that_of_the_definition(payoffs, player_id, b_in, b_out):
    objective, params = matrix_game(payoffs)
    rates = (0.4, 0.7, 1.1)[: len(params)]
    num_outer_steps = 2 if len(params) == 2 else 1
    learner = POLA(
        num_outer_steps,
        0.5,
        b_out,
        num_lookaheads=2,
        inner_learning_rate=rates,
        inner_penalty=b_in,
    )
    (found,) = learner.gradient(objective, params, player_id)
    oracle = Oracle(payoffs, [x[0] for x in params], player_id, 2, rates)
    expected = oracle.move(num_outer_steps, 0.5, b_in, b_out)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


# --- What it reduces to -----------------------------------------------------


def sampled_setting():
    setting = settings.Setting()
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
    setting.objective = dice_tf.objectives.DiCEObjective(
        game, tabular_policies(game), 0.9, 8
    )
    setting.params = random_params(setting.objective.policies, 0)
    return setting


@pytest.mark.parametrize(
    "name", ["quadratic_2", "quadratic_3", "matrix_2", "sampled_2"]
)
def test_one_outer_step_without_penalties_is_lola_dice(name):
    setting = sampled_setting() if "s" == name[0] else settings.make(name)
    for num_lookaheads, rate in ((0, 1.0), (1, 1.0), (2, 0.3)):
        pola = POLA(
            1, rate, 0.0, num_lookaheads=num_lookaheads, inner_learning_rate=0.6
        )
        lola_dice = LOLADiCE(num_lookaheads, 0.6)
        for i in range(len(setting.params)):
            np.testing.assert_allclose(
                setting.direction(pola, i, SEED),
                rate * setting.direction(lola_dice, i, SEED),
                rtol=1e-12,
                atol=1e-14,
            )


def test_sgd_with_rate_1_lands_where_the_outer_steps_lead():
    objective, params = matrix_game(ASYMMETRIC)
    (move,) = POLA(3, 0.2, 0.0, num_lookaheads=0).gradient(objective, params, 0)
    theta = tf.constant(params[0][0])
    for _ in range(3):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            value = objective([[theta], params[1]])[0]
        theta += 0.2 * tape.gradient(value, theta)
    np.testing.assert_allclose(params[0][0] + move, theta, rtol=1e-13)


def test_a_large_penalty_holds_the_behaviour_and_a_small_one_does_not():
    objective, params = matrix_game(ASYMMETRIC)
    moved = []
    for outer_penalty in (0.0, 1.0, 20.0):
        learner = POLA(30, 0.2, outer_penalty)
        move = tf.function(learner.gradient, autograph=False)
        there = [[params[0][0] + move(objective, params, 0)[0]], params[1]]
        moved.append(float(objective.divergences(there, params)[0]))
    assert moved[0] > 1.2 * moved[1] > 4 * moved[2] > 0.0


def test_a_seat_without_parameters_does_not_move():
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    policies = [
        dice_tf.policies.tabular(game, 0),
        dice_tf.policies.tit_for_tat(game, 1),
    ]
    objective = dice_tf.objectives.ExactObjective(game, policies)
    params = objective.initial_params()
    assert POLA(2).gradient(objective, params, 1) == []
    assert np.any(POLA(2).gradient(objective, params, 0)[0])


# --- Gradient flow ----------------------------------------------------------


def test_the_anchor_stands_still_where_the_parameters_are():
    """Else a penalty would have no curvature at the anchor itself."""
    objective, params = matrix_game(np.zeros_like(ASYMMETRIC))
    theta = tf.constant(params[0][0])
    with tf.GradientTape() as outer:
        outer.watch(theta)
        with tf.GradientTape() as inner:
            inner.watch(theta)
            at = [[theta], params[1]]
            value = ProximalObjective(objective, at, (0.7, 0.0))(at)[0]
        gradient = inner.gradient(value, theta)
    found = outer.jacobian(gradient, theta)[:, 0, :, 0]
    p = oracles.policy(params[0][0])[:, 0]
    d = visits([x[0] for x in params], (2, 2))
    np.testing.assert_allclose(gradient, np.zeros([5, 1]), atol=1e-15)
    np.testing.assert_allclose(
        found, np.diag(-0.7 * d * p * (1 - p)), atol=1e-13
    )


def test_without_weights_no_policies_are_needed():
    objective = dice_tf.objectives.FunctionObjective(
        [lambda params: -(params[0][0] ** 2)]
    )
    (found,) = POLA(2, 0.25, 0.0).gradient(objective, [[4.0]], 0)
    assert float(found) == -3.0
    with pytest.raises(ValueError, match="FunctionObjective has no policies"):
        POLA(2, 0.25, 0.1).gradient(objective, [[4.0]], 0)


# --- Sampled objectives, models, training ----------------------------------


def test_every_outer_step_plays_afresh():
    setting = sampled_setting()
    one, again, other = (
        setting.direction(
            POLA(
                3,
                0.3,
                0.5,
                num_lookaheads=1,
                inner_learning_rate=0.4,
                inner_penalty=0.5,
            ),
            0,
            seed,
        )
        for seed in (SEED, SEED, (3, 5))
    )
    np.testing.assert_array_equal(one, again)
    assert np.all(one != other)
    # With one play for all steps, a linear value would be moved up the same
    # gradient in every step.
    first = setting.direction(POLA(1, 1e-6, 0.0, num_lookaheads=0), 0, SEED)
    three = setting.direction(POLA(3, 1e-6, 0.0, num_lookaheads=0), 0, SEED)
    assert not np.allclose(three, 3 * first, rtol=1e-2)


def test_eager_and_graph_mode_play_the_same():
    setting = sampled_setting()
    learner = POLA(
        2,
        0.3,
        0.5,
        num_lookaheads=1,
        inner_learning_rate=0.4,
        inner_penalty=0.5,
    )
    seed = tf.constant(SEED)
    graph = tf.function(
        lambda: learner.gradient(setting.objective, setting.params, 0, seed)
    )
    np.testing.assert_allclose(
        graph()[0],
        learner.gradient(setting.objective, setting.params, 0, seed)[0],
        rtol=1e-12,
    )


def test_it_moves_against_models_alone():
    setting = sampled_setting()
    objective = setting.objective
    model = dice_tf.policies.tabular(objective.game, 1)
    learner = OpponentModelling(
        POLA(
            2,
            0.3,
            0.5,
            num_lookaheads=1,
            inner_learning_rate=0.4,
            inner_penalty=0.5,
        ),
        [None, model],
        num_steps=2,
    )
    believed = [objective.policies[0], model]
    params = [
        [tf.constant(x) for x in player_params]
        for player_params in setting.params
    ]
    step = learner.step(objective, params, 0, SEED, learner.init(params))
    alone = learner.learner.gradient(
        objective.with_policies(believed),
        [params[0], step.state.params[1]],
        0,
        dice_tf.seeds.split_seed(SEED, 1)[0],
    )
    np.testing.assert_allclose(step.direction[0], alone[0], rtol=1e-12)


def test_it_cooperates_in_the_prisoners_dilemma():
    game = dice_tf.games.iterated_prisoners_dilemma(150)
    objective = dice_tf.objectives.ExactObjective(
        game, tabular_policies(game), 0.96, None
    )
    learner = POLA(100, 1.0, 0.1, num_lookaheads=1, inner_learning_rate=1.5)
    trainer = dice_tf.Trainer(objective, [learner, learner], num_seeds=2)
    trainer.compile(keras.optimizers.SGD(1.0), jit_compile=False)
    trainer.fit(steps_per_epoch=4, verbose=0)
    assert np.all(trainer.curves[-1] > -1.2)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_outer_steps": 0}, "`num_outer_steps` must be at least 1"),
        ({"num_lookaheads": -1}, "`num_lookaheads` must be at least 0"),
        ({"outer_penalty": -1.0}, "`outer_penalty` must be"),
        ({"inner_penalty": -1.0}, "`inner_penalty` must be"),
        ({"outer_learning_rate": -1.0}, "`outer_learning_rate` must be"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        POLA(**arguments)


@pytest.mark.parametrize("name", ["inner_optimizer", "outer_optimizer"])
def test_keras_optimizers_are_refused(name):
    with pytest.raises(TypeError, match=f"`{name}` must be a dice_tf.inner"):
        POLA(**{name: keras.optimizers.SGD()})
