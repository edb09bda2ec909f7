"""What is bound for a step has its derivatives wherever it is computed."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners import LOLADiCE, Naive
from dice_tf.learners.learner import Learner, LearnerStep
from dice_tf.objectives import (
    DiCEObjective,
    ExactObjective,
    FirstOrderBaselineObjective,
    SurrogateObjective,
    sampled_dice,
)
from tests.recurrent import gru_policies, small_game
from tests.toys import ASYMMETRIC, random_params, tabular_policies

SCALES = [1.0, 0.6]
SEED = [1, 2]


def objective_of(dtype="float64", **options):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype=dtype)
    return DiCEObjective(
        game, tabular_policies(game), 0.9, 6, "state_values", **options
    )


def one_by_one(function, elements):
    return tf.stack([function(x) for x in tf.unstack(elements)])


MAPS = {"vectorized_map": tf.vectorized_map, "map_fn": tf.map_fn}
OPTIONS = {
    "dice": {},
    "loaded": {"lambda_": 0.8, "tau": 0.5},
    "groups": {"num_groups": 3},
}


def derivatives(objective, mapped, bind_inside=None):
    """The first, and second ones across players, of a tape around a map."""
    params = [
        [tf.constant(x) for x in player_params]
        for player_params in random_params(objective.policies, 3)
    ]
    theta, other = params[0][0], params[1][0]

    def value(scale):
        here = objective
        if bind_inside is not None:
            here = objective.bind(tapes_inside=bind_inside)
        return here([[scale * theta], [scale * other]], SEED)[0]

    with tf.GradientTape() as outer:
        outer.watch(other)
        with tf.GradientTape() as inner:
            inner.watch(theta)
            scales = tf.constant(SCALES, tf.float64)
            total = tf.reduce_sum(mapped(value, scales))
        first = inner.gradient(total, theta)
        square = tf.reduce_sum(first**2)
    # The surrogate's gradient does not depend on the other player.
    return first, outer.gradient(
        square, other, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )


@pytest.mark.parametrize("name", OPTIONS)
def test_a_tape_around_a_map_finds_all_derivatives(name):
    objective = objective_of(**OPTIONS[name])
    expected = derivatives(
        objective_of(**OPTIONS[name] | {"num_groups": 1}), one_by_one
    )
    assert all(np.abs(x).max() > 1e-3 for x in expected)
    cases = [
        (mapped, source, bind_inside)
        for mapped in MAPS.values()
        for source, bind_inside in (
            (objective.bind(), None),
            (objective, False),
        )
    ]
    if name == "groups":
        # TensorFlow refuses the second derivative of a loop in a loop.
        cases = [(tf.vectorized_map, *source[1:]) for source in cases[:2]]
        cases.append((tf.vectorized_map, objective, None))
    for mapped, source, bind_inside in cases:
        compute = tf.function(derivatives, autograph=False)
        found = compute(source, mapped, bind_inside)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def critic_objective(game, policies):
    critics = [dice_tf.critics.tabular_critic(game, i) for i in range(2)]
    for critic in critics:
        critic.set_weights([np.arange(5.0)[:, np.newaxis]])
    return DiCEObjective(game, policies, 0.9, 6, "critic", critics)


KINDS = {
    "exact": lambda game, policies: ExactObjective(game, policies, 0.9),
    "critic": critic_objective,
    "leave one out": lambda game, policies: DiCEObjective(
        game, policies, 0.9, 6
    ),
    "surrogate": lambda game, policies: SurrogateObjective(
        game, policies, 0.9, 6
    ),
    "first order baseline": lambda game, policies: FirstOrderBaselineObjective(
        game, policies, 0.9, 6
    ),
}


@pytest.mark.parametrize("mapped", MAPS)
@pytest.mark.parametrize("kind", KINDS)
def test_tapes_between_the_binding_and_a_map_find_all_derivatives(kind, mapped):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
    objective = KINDS[kind](game, tabular_policies(game))

    @tf.function(autograph=False)
    def step():
        bound = objective.bind(tapes_inside=True)
        return derivatives(bound, MAPS[mapped])

    expected = derivatives(objective, one_by_one)
    assert np.abs(expected[0]).max() > 1e-3
    for one, other in zip(step(), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mapped", MAPS)
def test_a_map_over_policies_with_memory_has_their_derivatives(mapped):
    game = small_game()
    objective = DiCEObjective(game, gru_policies(game, 1), 0.9, 4)
    start = objective.initial_params()

    def gradients(apply_map):
        def value(scale):
            params = [[scale * x for x in start[0]], start[1]]
            return objective.bind()(params, SEED)[0]

        scales = tf.constant(SCALES, tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(start[0])
            total = tf.reduce_sum(apply_map(value, scales))
        return tape.gradient(total, start[0])

    found = tf.function(gradients, autograph=False)(MAPS[mapped])
    expected = gradients(one_by_one)
    assert max(np.abs(x).max() for x in expected) > 0.1
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def map_of_functions(function, elements):
    return tf.vectorized_map(tf.function(function, autograph=False), elements)


@pytest.mark.parametrize("is_bound", [False, True])
def test_groups_within_a_function_within_a_map_have_derivatives(is_bound):
    grouped = objective_of(num_groups=3)
    if is_bound:
        grouped = grouped.bind()
    found = derivatives(grouped, map_of_functions)
    expected = derivatives(objective_of(), one_by_one)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_a_loop_entered_since_is_told_from_the_place_of_binding():
    objective = objective_of()
    seen = {}

    @tf.function(autograph=False)
    def step():
        def run(scale):
            bound = objective.bind(tapes_inside=True)
            seen["here"] = bound.tapes_are_inside
            with tf.name_scope("learner"), tf.GradientTape():
                seen["under a name"] = bound.tapes_are_inside

            def look(name):
                def body(x):
                    seen[name] = bound.tapes_are_inside
                    return x

                return body

            for name, mapped in MAPS.items():
                mapped(look(name), tf.stack([scale, scale]))
            tf.function(look("function"), autograph=False)(scale)
            return scale

        return tf.vectorized_map(run, tf.constant(SCALES))

    step()
    assert seen == {
        "here": True,
        "under a name": True,
        "vectorized_map": False,
        "map_fn": False,
        "function": False,
    }
    assert not objective.tapes_are_inside
    assert not objective.bind().tapes_are_inside


class AtScales(Learner):
    """Ascends the sum of the values at several scales of its parameters."""

    def __init__(self, mapped):
        self.mapped = mapped

    def step(self, objective, params, player_id, seed, state):
        parameters = list(params[player_id])

        def value(scale):
            moved = list(params)
            moved[player_id] = [scale * x for x in parameters]
            return objective(moved, seed)[player_id]

        with tf.GradientTape() as tape:
            tape.watch(parameters)
            scales = tf.constant(SCALES, parameters[0].dtype)
            total = tf.reduce_sum(self.mapped(value, scales))
        return LearnerStep(tape.gradient(total, parameters), state)


def test_a_learner_may_map_within_the_step_of_a_trainer():
    objective = objective_of("float32")
    start = random_params(objective.policies, 3)
    ends = []
    for mapped in (one_by_one, tf.vectorized_map):
        trainer = dice_tf.Trainer(
            objective, [AtScales(mapped), None], initial_params=[start]
        )
        trainer.compile(keras.optimizers.SGD(0.5), jit_compile=False)
        trainer.fit(verbose=0)
        ends.append(trainer.players[0].params[0].numpy()[0])
    assert np.abs(ends[0] - start[0][0]).max() > 0.01
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("learner", "num_seeds"),
    [
        (LOLADiCE(1, 0.5), 1),
        (LOLADiCE(1, 0.5), 2),
        (
            dice_tf.learners.POLA(
                2, 0.1, 0.5, num_lookaheads=1, inner_learning_rate=0.1
            ),
            2,
        ),
    ],
)
def test_a_training_step_computes_no_box(monkeypatch, learner, num_seeds):
    """Else its program would compute what only derivatives need."""
    boxes = []
    plain = {
        "unit_box": sampled_dice.unit_box,
        "magic_box": sampled_dice.magic_box,
    }
    for name, function in plain.items():

        def box(x, name=name, function=function):
            boxes.append(name)
            return function(x)

        monkeypatch.setattr(sampled_dice, name, box)
    trainer = dice_tf.Trainer(
        objective_of("float32"), [learner, Naive()], num_seeds=num_seeds
    )
    trainer.compile(jit_compile=False)
    trainer.fit(verbose=0)
    assert boxes and set(boxes) == {"unit_box"}


@pytest.mark.parametrize("is_bound", [True, False])
def test_a_bound_objective_computes_a_result_once(is_bound):
    """Of the same objects: equal ones are not the same."""
    numbers = iter(range(4))
    objective = objective_of().bind() if is_bound else objective_of()
    x, y = tf.constant(1.0), tf.constant(1.0)
    found = [
        objective.once(lambda: next(numbers), [tensor], ("a", option))
        for tensor, option in ((x, 1), (x, 1), (y, 1), (x, 2))
    ]
    assert found == ([0, 0, 1, 2] if is_bound else [0, 1, 2, 3])


def test_what_is_computed_once_must_be_a_function():
    with pytest.raises(TypeError, match="`compute` must be a function without"):
        objective_of().once(3, [], "three")
