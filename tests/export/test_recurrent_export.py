"""Exported policies with memory."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.export import export_policy
from dice_tf.play.actors import Actor
from tests import recurrent
from tests.toys import random_params

GAME = recurrent.small_game(4)
SEED = tf.constant([3, 4])
SEEDS = tf.constant([[3, 4]])


def gru_policy():
    return recurrent.gru_policies(GAME)[0]


def lstm_policy():
    policy = dice_tf.policies.lstm(GAME, 1, units=2)
    (params,) = random_params([policy], 5)
    policy.set_weights([*params, *policy.get_weights()[len(params) :]])
    return policy


@pytest.fixture(scope="module", params=["gru", "lstm"])
def exported(request, tmp_path_factory):
    """A live policy, its exported form, and the size of its state."""
    policy, size = (
        (gru_policy(), 2) if request.param == "gru" else (lstm_policy(), 4)
    )
    path = tmp_path_factory.mktemp("exports") / request.param
    export_policy(policy, path)
    return policy, tf.saved_model.load(path), size


def observations(length=4, batch_size=3):
    rng = np.random.default_rng(0)
    return tf.one_hot(
        rng.integers(5, size=[length, batch_size]), 5, dtype=tf.float64
    )


def test_steps_from_the_initial_state_are_those_of_the_live_policy(exported):
    policy, loaded, size = exported
    actor = Actor(GAME, policy, 0)
    seen = observations()
    live = actor.distribution(actor.model.weights(), seen).logits
    expected = tf.stack([tf.sigmoid(-live), tf.sigmoid(live)], axis=-1)
    states = [loaded.initial_state(batch_size=3)["state"]] * 3
    np.testing.assert_array_equal(states[0], np.zeros((3, size)))
    for t in range(4):
        shown = loaded.step_probabilities(observation=seen[t], state=states[0])
        sampled = loaded.step(
            observation=seen[t], state=states[1], seed=SEED + t
        )
        greedy = loaded.step_greedy(observation=seen[t], state=states[2])
        chances = shown["probabilities"].numpy()
        np.testing.assert_allclose(chances, expected[t], atol=1e-12)
        np.testing.assert_array_equal(
            greedy["action"], np.argmax(chances, axis=-1)
        )
        chosen = np.take_along_axis(
            chances, sampled["action"].numpy()[:, np.newaxis], axis=1
        )
        np.testing.assert_allclose(
            sampled["log_prob"], np.log(chosen[:, 0]), atol=1e-12
        )
        states = [found["state"] for found in (shown, sampled, greedy)]
        for state in states[1:]:
            np.testing.assert_array_equal(state, states[0])
    assert np.abs(states[0]).max() > 1e-3


def test_signatures_take_any_batch_and_are_named(exported):
    _, loaded, size = exported
    assert set(loaded.signatures) == {
        "initial_state",
        "step",
        "step_greedy",
        "step_probabilities",
        "serving_default",
    }
    default = loaded.signatures["serving_default"]
    for batch_size in (1, 7):
        state = loaded.initial_state(batch_size=batch_size)["state"]
        result = default(
            observation=observations(1, batch_size)[0],
            state=state,
            seed=tf.repeat(SEEDS, batch_size, axis=0),
        )
        assert result["action"].shape == (batch_size,)
        assert result["state"].shape == (batch_size, size)


@pytest.mark.parametrize("wrong", ["observation", "state"])
def test_other_shapes_are_refused_when_serving(exported, wrong):
    _, loaded, size = exported
    shapes = {"observation": [3, 5], "state": [3, size]}
    shapes[wrong][1] -= 1
    inputs = {
        name: tf.zeros(shape, tf.float64) for name, shape in shapes.items()
    }
    with pytest.raises((ValueError, TypeError, tf.errors.InvalidArgumentError)):
        loaded.signatures["step"](**inputs, seed=tf.repeat(SEEDS, 3, axis=0))


def test_a_policy_over_numbers_steps_with_its_mode(tmp_path):
    observed, state = keras.Input((2,)), keras.Input((3,))
    features, following = keras.layers.GRUCell(3)(observed, [state])
    outputs = keras.layers.Dense(2)(features)
    from tests.toys import normal_head

    policy = dice_tf.policies.with_head(
        keras.Model([observed, state], [outputs, *following]), normal_head
    )
    export_policy(policy, tmp_path / "normal")
    loaded = tf.saved_model.load(tmp_path / "normal")
    inputs = {
        "observation": tf.ones([4, 2]),
        "state": loaded.initial_state(batch_size=4)["state"],
    }
    assert "step_probabilities" not in loaded.signatures
    mode = loaded.step_greedy(**inputs)["action"]
    mean = policy([inputs["observation"], inputs["state"]])[0][:, 0]
    np.testing.assert_allclose(mode, mean, rtol=1e-6)
    for seed in (SEED, tf.repeat(SEEDS, 4, axis=0)):
        assert loaded.step(**inputs, seed=seed)["log_prob"].shape == (4,)


def test_states_of_several_dtypes_are_refused(tmp_path):
    observed = keras.Input((5,), dtype="float64")
    states = [keras.Input((1,), dtype=d) for d in ("float64", "float32")]
    outputs = keras.layers.Dense(1, dtype="float64")(observed)
    policy = keras.Model([observed, *states], [outputs, *states])
    with pytest.raises(ValueError, match="states of one dtype.*'float32', 'f"):
        export_policy(policy, tmp_path / "mixed")


def test_as_an_opponent_it_is_refused_by_its_signatures(tmp_path):
    export_policy(gru_policy(), tmp_path / "gru")
    with pytest.raises(ValueError, match=r"with the signatures .*step"):
        dice_tf.policies.from_saved_model(tmp_path / "gru")
