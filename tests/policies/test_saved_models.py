"""Exported policies that come back as frozen opponents."""

import os
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.export import export_policy
from dice_tf.policies import from_saved_model
from tests import toys

LENGTH = 4


class Nested(keras.Model):
    """Calls a function of its own, as no vectorised loaded function may."""

    def __init__(self):
        super().__init__(dtype="float64")
        self.logits = keras.layers.Dense(2, dtype="float64")

    @tf.function
    def inner(self, observation):
        return tf.tanh(self.logits(observation))

    def call(self, observation):
        return 2.0 * self.inner(observation)


def make_game(dtype="float64"):
    return dice_tf.games.iterated_matrix_game(
        toys.ASYMMETRIC, LENGTH, dtype=dtype
    )


def make_policy(kind):
    keras.utils.set_random_seed(5)
    if kind == "nested":
        policy = Nested()
        policy(tf.zeros([1, 5], tf.float64))
        # It could not learn, as it has a tf.function of its own.
        policy.trainable = False
        return policy
    return getattr(dice_tf.policies, kind)(make_game(), 1)


def random_observations(*shape):
    return tf.constant(np.random.default_rng(2).normal(size=[*shape, 5]))


def log_probs_of(policy, observations):
    outputs = policy(tf.reshape(observations, [-1, 5]))
    if outputs.shape[-1] == 1:
        outputs = tf.concat([outputs, tf.zeros_like(outputs)], axis=-1)
    shape = [*observations.shape[:-1], 2]
    return tf.reshape(tf.nn.log_softmax(outputs), shape)


@pytest.fixture(scope="module", params=["tabular", "mlp", "nested"])
def pair(request, tmp_path_factory):
    """A policy and what came back of it; the folder is gone."""
    policy = make_policy(request.param)
    path = tmp_path_factory.mktemp("policies") / request.param
    export_policy(policy, path)
    frozen = from_saved_model(path)
    shutil.rmtree(path)
    return policy, frozen


# What comes back.


def test_logits_are_the_log_probabilities_of_the_policy(pair):
    policy, frozen = pair
    observations = random_observations(7)
    expected = log_probs_of(policy, observations)
    np.testing.assert_allclose(frozen(observations), expected, rtol=1e-10)
    outputs, others = frozen.stateless_call([], [], observations)
    np.testing.assert_allclose(outputs, expected, rtol=1e-10)
    assert others == []


def test_it_is_a_model_without_variables(pair):
    _, frozen = pair
    assert isinstance(frozen, keras.Model) and frozen.variables == []
    assert frozen.inputs[0].shape == (None, 5)
    assert frozen.inputs[0].dtype == "float64"


@pytest.mark.parametrize("jit_compile", [False, True])
def test_it_can_be_vectorised_and_compiled(pair, jit_compile):
    policy, frozen = pair
    observations = random_observations(3, 4)

    @tf.function(jit_compile=jit_compile)
    def evaluate(observations):
        return tf.vectorized_map(frozen, observations)

    np.testing.assert_allclose(
        evaluate(observations), log_probs_of(policy, observations), rtol=1e-10
    )


def test_it_can_be_vectorised_in_a_loop(pair):
    policy, frozen = pair
    observations = random_observations(3, 4)

    def play(observations):
        return tf.while_loop(
            lambda step, x: step < 2,
            lambda step, x: (step + 1, x + frozen(x)[:, :1]),
            (0, observations),
        )[1]

    vectorised = tf.function(lambda x: tf.vectorized_map(play, x))
    expected = observations
    for _ in range(2):
        expected = expected + log_probs_of(policy, expected)[..., :1]
    np.testing.assert_allclose(vectorised(observations), expected, rtol=1e-10)


def test_it_can_be_exported_again(pair, tmp_path):
    policy, frozen = pair
    export_policy(frozen, tmp_path / "again")
    again = from_saved_model(tmp_path / "again", name="again")
    assert again.name == "again"
    observations = random_observations(3, 4)
    vectorised = tf.function(lambda x: tf.vectorized_map(again, x))
    np.testing.assert_allclose(
        vectorised(observations), log_probs_of(policy, observations), rtol=1e-10
    )


@pytest.mark.parametrize("jit_compile", [False, True])
def test_variables_that_a_loop_reads_come_back_too(tmp_path, jit_compile):
    inputs = keras.Input((4, 5))
    x = keras.layers.GRU(3)(inputs)
    policy = keras.Model(inputs, keras.layers.Dense(2)(x))
    export_policy(policy, tmp_path / "policy")
    frozen = from_saved_model(tmp_path / "policy")
    shutil.rmtree(tmp_path / "policy")
    observations = tf.cast(random_observations(7, 4), tf.float32)
    expected = tf.nn.log_softmax(policy(observations))
    evaluate = tf.function(frozen, jit_compile=jit_compile)
    for found in (frozen(observations), evaluate(observations)):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_impossible_actions_have_finite_logits(tmp_path):
    game = make_game("float32")
    export_policy(dice_tf.policies.tit_for_tat(game, 0), tmp_path / "policy")
    logits = from_saved_model(tmp_path / "policy")(tf.eye(5)).numpy()
    assert np.all(np.isfinite(logits))
    np.testing.assert_array_equal(
        np.exp(logits) > 0.5,
        [
            [True, False],
            [False, True],
            [True, False],
            [False, True],
            [True, False],
        ],
    )
    assert logits.min() < -80 and logits.max() == 0


def test_a_clone_does_the_same(tmp_path):
    policy = make_policy("mlp")
    export_policy(policy, tmp_path / "policy")
    clone = keras.models.clone_model(from_saved_model(tmp_path / "policy"))
    observations = random_observations(2)
    np.testing.assert_allclose(
        clone(observations), log_probs_of(policy, observations), rtol=1e-10
    )


# In a seat.


def test_exact_values_are_those_against_the_live_policy(pair):
    policy, frozen = pair
    game = make_game()
    learning = dice_tf.policies.tabular(game, 0)
    values = []
    for opponent in (policy, frozen):
        objective = dice_tf.objectives.ExactObjective(
            game, [learning, opponent]
        )
        values.append(objective(objective.initial_params()))
    np.testing.assert_allclose(values[1], values[0], rtol=1e-10)


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_training_goes_as_against_the_live_policy(tmp_path, num_seeds):
    game = make_game()
    policy = make_policy("mlp")
    export_policy(policy, tmp_path / "policy")
    frozen = from_saved_model(tmp_path / "policy")
    learning = dice_tf.policies.tabular(game, 0)
    params = [
        toys.random_params([learning], seed)[0] for seed in range(num_seeds)
    ]
    curves = []
    for opponent, compile_it in ((policy, False), (frozen, True)):
        objective = dice_tf.objectives.DiCEObjective(
            game, [learning, opponent], batch_size=8
        )
        kept = objective.initial_params()[1]
        trainer = dice_tf.Trainer(
            objective,
            [dice_tf.learners.Naive(), None],
            num_seeds=num_seeds,
            initial_params=[[player_params, kept] for player_params in params],
        )
        trainer.compile(keras.optimizers.SGD(0.5), jit_compile=compile_it)
        trainer.fit(epochs=1, steps_per_epoch=2, verbose=0)
        curves.append(trainer.curves)
    assert np.all(np.std(curves[0], axis=0) > 0)
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-6)


# Bad input.


class Doubling(tf.Module):
    """Something else that TensorFlow saves."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def double(self, x):
        return {"y": 2.0 * x}


def test_a_path_must_be_one():
    with pytest.raises(
        TypeError, match=r"`path` must be a string.*3 \(of type"
    ):
        from_saved_model(3)


def test_what_is_no_saved_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nowhere', where there is nothing"):
        from_saved_model(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("no model")
    with pytest.raises(ValueError, match="notes.txt', which is a file"):
        from_saved_model(tmp_path / "notes.txt")
    with pytest.raises(
        ValueError, match=r"a folder that holds \['notes.txt'\]"
    ):
        from_saved_model(tmp_path)


def test_a_saved_model_of_something_else_is_refused(tmp_path):
    module = Doubling()
    tf.saved_model.save(module, tmp_path / "bare", signatures={})
    with pytest.raises(ValueError, match="exported policy.*with no signatures"):
        from_saved_model(tmp_path / "bare")
    signatures = {"double": module.double, "probabilities": module.double}
    tf.saved_model.save(module, tmp_path / "named", signatures=signatures)
    with pytest.raises(ValueError, match=r"with the sign.*double\(x\) -> {y}"):
        from_saved_model(tmp_path / "named")


def test_a_policy_without_a_finite_set_of_actions_is_refused(tmp_path):
    export_policy(toys.normal_policy(), tmp_path / "policy")
    with pytest.raises(
        ValueError, match=r"a finite set of actions.*act\(obser"
    ):
        from_saved_model(tmp_path / "policy")


def test_a_damaged_saved_model_is_refused(tmp_path):
    export_policy(make_policy("tabular"), tmp_path / "policy")
    shutil.rmtree(tmp_path / "policy" / "variables")
    assert os.listdir(tmp_path / "policy")
    with pytest.raises(ValueError, match="`path` .*policy'. cannot be loaded"):
        from_saved_model(tmp_path / "policy")
