"""Models that compute in other dtypes than their game."""

import contextlib
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from dice_tf.models.recurrent_models import RecurrentSeatModel
from dice_tf.play import Actor
from tests import toys

RATE = 0.5
# The dtype of the game, and what the model is told to compute in.
HALF = ["mixed_bfloat16", "mixed_float16", "bfloat16", "float16"]
MIXED = [("float32", kind) for kind in ("float64", "last", "floatx", *HALF)]
MIXED += [("float64", "float32"), ("float64", "mixed_float16")]


@contextlib.contextmanager
def as_users_set_it(kind):
    """What a user may set for all of Keras."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    try:
        if kind == "floatx":
            keras.config.set_floatx("float64")
            keras.config.set_dtype_policy("float64")
        elif kind != "last":
            keras.config.set_dtype_policy(kind)
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def network(kind, num_outputs=1):
    with as_users_set_it(kind):
        inputs = keras.Input((5,))
        x = keras.layers.Dense(4, activation="tanh")(inputs)
        dtype = "float64" if kind == "last" else None
        outputs = keras.layers.Dense(num_outputs, dtype=dtype)(x)
        return keras.Model(inputs, outputs)


def with_same_values(models):
    """Sets values that half precision holds, too."""
    for seed, model in enumerate(models):
        rng = np.random.default_rng(seed)
        model.set_weights(
            [rng.integers(-8, 9, size=v.shape) / 8 for v in model.weights]
        )
    return models


def make_game(dtype):
    return dice_tf.games.iterated_matrix_game(toys.ASYMMETRIC, 3, dtype=dtype)


def make_objective(name, game, kind):
    policies = with_same_values([network(kind) for _ in range(2)])
    if name == "exact":
        return dice_tf.objectives.ExactObjective(game, policies, 0.9)
    critics = with_same_values([network(kind) for _ in range(2)])
    return dice_tf.objectives.DiCEObjective(
        game,
        policies,
        discount=0.9,
        batch_size=16,
        baseline="critic",
        critics=critics,
    )


@functools.cache
def expected_direction(name, dtype):
    """What models in the dtype of the game give."""
    learner = dice_tf.learners.LOLADiCE(1, RATE)
    return direction(make_objective(name, make_game(dtype), dtype), learner)


def direction(objective, learner):
    gradient = learner.gradient(
        objective, objective.initial_params(), 0, [1, 2]
    )
    dtypes = {part.dtype for part in gradient}
    assert dtypes == {objective.game.dtype}
    return np.concatenate([np.ravel(part) for part in gradient])


@pytest.mark.parametrize(
    ("dtype", "kind", "name"),
    [
        *((*mixed, "exact") for mixed in MIXED),
        # With critics, which are of the same kind.
        ("float32", "float64", "sampled"),
        ("float32", "mixed_float16", "sampled"),
        ("float64", "float32", "sampled"),
    ],
)
def test_learners_move_them_as_models_of_the_game_s_dtype(dtype, kind, name):
    game = make_game(dtype)
    learner = dice_tf.learners.LOLADiCE(1, RATE)
    found = direction(make_objective(name, game, kind), learner)
    expected = expected_direction(name, dtype)
    tolerance = 0.1 if "16" in kind else 1e-4
    np.testing.assert_allclose(
        found, expected, atol=tolerance * np.abs(expected).max()
    )
    assert np.abs(expected).max() > 1e-3


def test_a_trainer_trains_them_and_they_are_exported(tmp_path):
    kind = "bfloat16"
    objective = make_objective("sampled", make_game("float32"), kind)
    learners = [
        dice_tf.learners.Naive(),
        dice_tf.opponent_models.OpponentModelling(
            dice_tf.learners.LookAhead(RATE),
            [network(kind), None],
            num_steps=1,
        ),
    ]
    before = [policy.get_weights() for policy in objective.policies]
    trainer = dice_tf.Trainer(objective, learners)
    # To trace the step takes ten times as long as to make it.
    trainer.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
    trainer.fit(epochs=1, steps_per_epoch=1, verbose=0)
    assert np.all(np.isfinite(trainer.curves))
    for policy, values in zip(objective.policies, before, strict=True):
        assert np.any(policy.get_weights()[0] != values[0])
    dice_tf.export.export_policy(objective.policies[0], tmp_path / "policy")
    actor = Actor(objective.game, objective.policies[0], 0)
    back = dice_tf.policies.from_saved_model(tmp_path / "policy")
    frozen = Actor(objective.game, back, 0)
    np.testing.assert_allclose(
        frozen.log_prob_table(frozen.model.weights()),
        actor.log_prob_table(actor.model.weights()),
        atol=5e-2,
    )


def test_mixed_precision_compiles():
    objective = make_objective("exact", make_game("float32"), "mixed_bfloat16")
    learner = dice_tf.learners.Naive()
    params = objective.initial_params()

    @tf.function(jit_compile=True)
    def compiled(params):
        return learner.gradient(objective, params, 0, [1, 2])

    expected = learner.gradient(objective, params, 0, [1, 2])
    for found, wanted in zip(compiled(params), expected, strict=True):
        assert found.dtype == tf.float32
        np.testing.assert_allclose(found, wanted, atol=0.1)


def test_a_start_is_drawn_in_the_dtype_of_the_game():
    objective = make_objective("exact", make_game("float32"), "float64")
    trainer = dice_tf.Trainer(
        objective,
        [dice_tf.learners.LookAhead(RATE)] * 2,
        initial_params="random",
    )
    trainer.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
    trainer.fit(epochs=1, steps_per_epoch=1, verbose=0)
    assert np.all(np.isfinite(trainer.curves))


@pytest.mark.parametrize("kind", ["mixed_float16", "float64", "float32"])
def test_second_derivatives_are_measured_where_they_can_be(kind):
    """A layer that is known to be wrong, in another dtype than the game."""
    with as_users_set_it(kind):
        inputs = keras.Input((5,))
        x = keras.layers.Dense(8, activation="tanh")(inputs)
        wrong = keras.layers.LayerNormalization()(x)
        right = dice_tf.layers.SafeLayerNormalization()(x)
        policies = [
            keras.Model(inputs, keras.layers.Dense(1)(x))
            for x in (wrong, right)
        ]
    for dtype in ("float32", "float64"):
        game = make_game(dtype)
        Actor(game, policies[1], 0)
        if kind == "mixed_float16":
            Actor(game, policies[0], 0)
            continue
        with pytest.raises(ValueError, match="cannot be differentiated twice"):
            Actor(game, policies[0], 0)


@pytest.mark.parametrize("kind", ["mixed_bfloat16", "mixed_float16"])
def test_states_come_out_as_they_go_in(kind):
    with as_users_set_it(kind):
        observed, state = keras.Input((5,)), keras.Input((3,))
        features, after = keras.layers.GRUCell(3)(observed, [state])
        outputs = keras.layers.Dense(1)(features)
        policy = keras.Model([observed, state], [outputs, *after])
    game = make_game("float32")
    model = RecurrentSeatModel("policies[0]", policy, (5,), tf.float32)
    outputs, (after,) = model.step(
        model.weights(), tf.eye(5), model.initial_state(5)
    )
    assert outputs.dtype == after.dtype == tf.float32
    objective = dice_tf.objectives.DiCEObjective(
        game, [policy, network(kind)], batch_size=4
    )
    direction(objective, dice_tf.learners.Naive())


def test_models_of_the_game_s_dtype_get_no_cast():
    model = network("float32")
    actor = Actor(make_game("float32"), model, 0)

    @tf.function
    def evaluate(observations):
        return actor.model(actor.model.weights(), observations)

    graph = evaluate.get_concrete_function(tf.TensorSpec([5, 5])).graph
    assert not [op for op in graph.get_operations() if op.type == "Cast"]


def test_a_head_of_another_dtype_is_refused():
    policy = dice_tf.policies.with_head(
        network("float32"),
        lambda outputs: tfp.distributions.Bernoulli(
            logits=tf.cast(outputs[..., 0], tf.float64)
        ),
    )
    with pytest.raises(ValueError, match="head.*float32. Received float64: ca"):
        Actor(make_game("float32"), policy, 0)
