"""What a learner is, and what learners share."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners import Learner, LearnerStep, Naive
from dice_tf.learners.learner import as_params, check_learners, own_gradients
from dice_tf.objectives import FunctionObjective
from tests.toys import ASYMMETRIC, exact_objective, random_params

QUADRATIC = FunctionObjective(
    [
        lambda params: -(params[0][0] ** 2) * params[1][0],
        lambda params: params[0][0] * params[1][0] ** 3,
    ]
)
PARAMS = [[2.0], [3.0]]


class Counting(Learner):
    """Moves by the number of steps made, from one more than it began."""

    def init(self, params):
        return {"count": tf.constant(len(params))}

    def step(self, objective, params, player_id, seed, state):
        count = state["count"] + 1
        return LearnerStep([tf.cast(count, tf.float32)], {"count": count})


def test_a_gradient_is_one_step_from_the_first_state():
    assert float(Counting().gradient(QUADRATIC, PARAMS, 0)[0]) == 3.0


def test_a_learner_remembers_nothing_unless_it_says_so():
    assert Naive().init(PARAMS) == ()
    step = Naive().step(QUADRATIC, as_params(PARAMS, 2), 0, None, "memory")
    assert step.state == "memory"


def test_parameters_are_read_once_from_variables_and_arrays():
    variable = tf.Variable(1.5)
    params = as_params([[variable, np.float32(2.0)], []], 2)
    variable.assign(9.0)
    assert [float(param) for param in params[0]] == [1.5, 2.0]
    assert all(tf.is_tensor(param) for param in params[0]) and params[1] == []


@pytest.mark.parametrize("params", [None, "ab", [1.0, 2.0], ([1.0], 2.0)])
def test_parameters_that_are_no_lists_are_refused(params):
    with pytest.raises(TypeError, match="`params` must be one list of tensors"):
        Naive().gradient(QUADRATIC, params, 0)


def test_parameters_of_too_few_players_are_refused():
    with pytest.raises(ValueError, match="for each of 2 players. Received 1"):
        Naive().gradient(QUADRATIC, [[1.0]], 0)


def test_a_player_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="`player_id` must be below the numb"):
        Naive().gradient(QUADRATIC, PARAMS, 2)


def test_own_gradients_are_differentiable_in_all_parameters():
    params = as_params(PARAMS, 2)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(params)
        gradients = own_gradients(QUADRATIC, params, [0, 1], None)
    # dV_0/dx = -2 x y, dV_1/dy = 3 x y^2.
    assert float(gradients[0][0]) == -12.0 and float(gradients[1][0]) == 54.0
    assert float(tape.gradient(gradients[0][0], params[1][0])) == -4.0
    assert float(tape.gradient(gradients[1][0], params[0][0])) == 27.0


def test_own_gradients_are_those_of_the_players_asked_for():
    found = own_gradients(QUADRATIC, as_params(PARAMS, 2), [1], None)
    assert list(found) == [1]


def test_gradients_are_dense_and_zero_where_nothing_depends():
    class Embedded(keras.Model):
        def __init__(self):
            super().__init__()
            self.table = keras.layers.Embedding(5, 1)
            self.unused = self.add_weight(shape=(3,))

        def call(self, observations):
            return self.table(tf.argmax(observations, axis=-1))

    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    policies = [Embedded(), dice_tf.policies.tit_for_tat(game, 1)]
    objective = dice_tf.objectives.ExactObjective(game, policies, 0.9)
    params = objective.initial_params()
    gradients = own_gradients(objective, params, [0, 1], None)
    assert gradients[1] == []
    shapes = [gradient.shape for gradient in gradients[0]]
    assert sorted(map(tuple, shapes)) == [(3,), (5, 1)]
    for gradient in gradients[0]:
        assert isinstance(gradient, tf.Tensor)
        assert np.any(gradient) == (gradient.shape == (5, 1))


def test_learners_are_one_per_player_or_none():
    learners = [Naive(), None]
    assert check_learners(learners, 2) == tuple(learners)
    with pytest.raises(ValueError, match="`learners` must have one entry for"):
        check_learners(learners, 3)
    with pytest.raises(TypeError, match="`learners` must be a list with one"):
        check_learners(Naive(), 2)
    with pytest.raises(
        TypeError, match="`learners` must hold dice_tf.learners"
    ):
        check_learners([Naive(), "naive"], 2)
    with pytest.raises(TypeError, match="or None for a frozen player"):
        check_learners([Naive(), Naive], 2)


def test_a_player_without_parameters_has_no_direction():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3)
    policies = [
        dice_tf.policies.tabular(game, 0),
        dice_tf.policies.always_defect(game, 1),
    ]
    objective = dice_tf.objectives.ExactObjective(game, policies, 0.9)
    params = objective.initial_params()
    for learner in (Naive(), dice_tf.learners.LOLADiCE(1, 0.5)):
        assert learner.gradient(objective, params, 1) == []
        assert learner.gradient(objective, params, 0)[0].shape == (5, 1)


def test_directions_keep_the_dtype_of_the_parameters():
    objective = exact_objective(ASYMMETRIC, 0.9, 3)
    params = random_params(objective.policies, 0)
    for learner in (Naive(), dice_tf.learners.LOLADiCE(1, 0.5)):
        (direction,) = learner.gradient(objective, params, 0)
        assert direction.dtype == tf.float64


# What a learner returns.


class Odd(Learner):
    """Returns what it was made with, and remembers a scalar."""

    def __init__(self, result):
        self.result = result

    def init(self, params):
        return {"mean": tf.constant(0.0)}

    def step(self, objective, params, player_id, seed, state):
        return self.result


GOOD = {"mean": tf.constant(1.0)}
ZEROS = tf.zeros([5])


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (
            [ZEROS],
            TypeError,
            r"`Odd.step` of player 1 must return a dice_tf.learners.LearnerSte"
            r"p.*Received: list\(float32 of shape \(5,\)\)",
        ),
        (
            LearnerStep(ZEROS, GOOD),
            ValueError,
            "must return as its direction a list of one tensor for each of 1 p",
        ),
        (
            LearnerStep([ZEROS, ZEROS], GOOD),
            ValueError,
            r"of shapes \[\(5,\)\]. Received: list\(float32 of shape \(5,",
        ),
        (
            LearnerStep([None], GOOD),
            ValueError,
            r"`direction\[0\]` must be a tensor. Received: None, which a tape",
        ),
        (
            LearnerStep([tf.zeros([5, 1])], GOOD),
            ValueError,
            r"`direction\[0\]` must have the shape and the dtype of the paramet"
            r"er, float32 of shape \(5,\). Received: float32 of shape \(5, 1\)",
        ),
        (
            LearnerStep([tf.zeros([5], tf.float64)], GOOD),
            ValueError,
            r"`direction\[0\]` must .* Received: float64 of shape \(5,\)",
        ),
        (
            LearnerStep([0.5], GOOD),
            ValueError,
            r"`direction\[0\]` must .* Received: 0.5 \(of type float\)",
        ),
        (
            LearnerStep([ZEROS], ()),
            ValueError,
            r"must return a state of the structure that `init` and the last "
            r"step gave: \{'mean': float32 of shape \(\)\}. Received: tuple",
        ),
        (
            LearnerStep([ZEROS], {"mean": tf.zeros([2])}),
            ValueError,
            "tensor 0 of the state must have the shape and the dtype of it",
        ),
        (
            LearnerStep([ZEROS], {"mean": tf.constant(1)}),
            ValueError,
            r"tensor 0 of the state must .* Received: int32 of shape \(\)",
        ),
    ],
)
def test_what_a_learner_returns_is_checked(result, error, message):
    params = [[tf.zeros([])], [tf.zeros([5])]]
    with pytest.raises(error, match=message):
        Odd(result).gradient(QUADRATIC, params, 1)


def test_a_trainer_checks_what_a_learner_returns():
    objective = exact_objective(ASYMMETRIC, 0.9, 3)
    odd = Odd(LearnerStep([tf.zeros([7])], GOOD))
    trainer = dice_tf.Trainer(objective, [Naive(), odd], num_seeds=2)
    trainer.compile("sgd", jit_compile=False)
    with pytest.raises(
        ValueError, match=r"`Odd.step` of player 1: `direction\[0\]` must have"
    ):
        trainer.fit(verbose=0)


def test_a_bare_tuple_and_numbers_of_python_are_a_step():
    result = ((tf.ones([]),), {"mean": 2.0})
    (direction,) = Odd(result).gradient(QUADRATIC, PARAMS, 0)
    assert float(direction) == 1.0


def test_the_seed_of_a_trainer_says_what_it_is():
    """It is not a tensor: a learner passes it on, splits it, or draws."""
    seen = []

    class Drawing(Learner):
        def step(self, objective, params, player_id, seed, state):
            seen.append(repr(seed))
            first, second = dice_tf.seeds.split_seed(seed, 2)
            noise = dice_tf.seeds.uniform(second, [], tf.float64)
            gradients = own_gradients(objective, params, [player_id], first)
            return [x * noise for x in gradients[player_id]], state

    trainer = dice_tf.Trainer(
        exact_objective(ASYMMETRIC, 0.9, 3), [Drawing(), None], num_seeds=2
    )
    trainer.compile("sgd", jit_compile=False)
    trainer.fit(verbose=0)
    assert "dice_tf.seeds.split_seed" in seen[0]
    assert dice_tf.learners.Learner.step.__doc__.count("split_seed") == 1
