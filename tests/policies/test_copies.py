"""Copies of a policy keep its head and its action mask."""

import copy
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from dice_tf.export.readings import read_policy
from dice_tf.export.recurrent_readings import read_recurrent_policy
from dice_tf.models.recurrent_models import has_memory
from dice_tf.play.actors import Actor
from dice_tf.policies.action_masks import carried_mask
from dice_tf.policies.attachments import attached
from dice_tf.policies.heads import attached_head
from dice_tf.policies.signatures import policy_signatures
from dice_tf.policies.step_signatures import recurrent_signatures
from tests.toys import masked_game

POOL = dice_tf.games.CommonPool(4)
LEGAL = POOL.action_masks[0]
layers = keras.layers


@keras.saving.register_keras_serializable(package="copies")
class Registered(keras.Model):
    """A model that is written as a class, and knows its configuration."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.logits = layers.Dense(units)

    def call(self, x):
        return self.logits(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def functional(num_inputs, num_outputs):
    inputs = keras.Input((num_inputs,))
    return keras.Model(inputs, layers.Dense(num_outputs)(inputs))


def sequential(num_inputs, num_outputs):
    return keras.Sequential(
        [keras.Input((num_inputs,)), layers.Dense(num_outputs)]
    )


def registered(num_inputs, num_outputs):
    policy = Registered(num_outputs)
    policy(tf.zeros([1, num_inputs]))
    return policy


MODELS = {
    "functional": functional,
    "sequential": sequential,
    "registered": registered,
}
OURS = ("tabular", "mlp", "gru", "lstm", "min_gru", "stacked", "random")
COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda policy: pickle.loads(pickle.dumps(policy)),
    "clone_model": keras.models.clone_model,
    "from_config": lambda policy: type(policy).from_config(policy.get_config()),
}


def built(policy):
    """Clones of models that are classes have no weights yet."""
    if not policy.built:
        policy(tf.zeros([1, 13]))
    return policy


# Keras' files and clones of a registered class are of the class as it is.
CASES = [
    (kind, name)
    for kind in MODELS
    for name in COPIES
    if (kind, name) != ("registered", "clone_model")
]


def rates_of(policy):
    """How often actions are taken in each state, `[13, 5]`, as exported."""
    states = np.repeat(np.arange(13), 200)
    observation = tf.one_hot(states, 13)
    shape = tf.TensorSpec([None, 13], tf.float32, "observation")
    if has_memory(policy):
        reading = read_recurrent_policy(policy, "inferred", None)
        made = recurrent_signatures(*reading, "inferred")
        state = made["initial_state"].function(len(states))["state"]
        acted = made["step"].function(observation, state, tf.constant([3, 4]))
    else:
        reading = read_policy(policy, "inferred", None)
        made = policy_signatures(reading.distribution, shape, "inferred")
        acted = made["act"].function(observation, tf.constant([3, 4]))
    counts = np.zeros((13, 5))
    np.add.at(counts, (states, acted["action"].numpy()), 1)
    return counts / 200


def test_a_file_of_a_copy_does_nothing_illegal(tmp_path):
    """An exported copy was illegal in 56 % of cases."""
    policy = dice_tf.policies.random(POOL, 0)
    copied = copy.deepcopy(keras.models.clone_model(policy))
    dice_tf.export.export_policy(copied, tmp_path / "policy")
    loaded = tf.saved_model.load(tmp_path / "policy")
    seen = np.eye(13, dtype=np.float32)
    found = loaded.probabilities(observation=seen)["probabilities"]
    np.testing.assert_array_equal(found > 0.0, LEGAL)


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("kind", OURS)
def test_a_copy_does_nothing_illegal(kind, name):
    copied = COPIES[name](getattr(dice_tf.policies, kind)(POOL, 0))
    rates = rates_of(copied)
    assert np.all(rates[~LEGAL] == 0.0)
    assert np.mean(rates[LEGAL] > 0.0) > 0.8


@pytest.mark.parametrize("kind, name", CASES)
def test_any_model_that_has_had_a_seat_hands_its_mask_on(kind, name):
    policy = MODELS[kind](13, 5)
    Actor(POOL, policy, 0)
    copied = built(COPIES[name](policy))
    rates = rates_of(copied)
    assert np.all(rates[~LEGAL] == 0.0)
    again = COPIES[name](copied)
    assert carried_mask(again) is not None


def cautious(outputs):
    return tfp.distributions.Categorical(logits=outputs / 2.0)


@pytest.mark.parametrize("kind, name", CASES)
def test_copies_keep_an_attached_head(kind, name):
    policy = dice_tf.policies.with_head(MODELS[kind](13, 5), cautious)
    copied = built(COPIES[name](policy))
    assert copied is not policy
    assert attached_head(copied) is cautious
    again = COPIES[name](copied)
    assert attached_head(again) is cautious
    actor = Actor(POOL, copied, 0)
    weights = actor.model.weights()
    outputs = copied(tf.eye(13)).numpy() / 2.0
    expected = np.exp(outputs) * LEGAL
    expected /= expected.sum(axis=1, keepdims=True)
    found = np.exp(actor.log_prob_table(weights))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["copy", "deepcopy", "pickle"])
@pytest.mark.parametrize("kind", MODELS)
def test_copies_have_the_weights_and_the_class_of_the_model(kind, name):
    plain = MODELS[kind](13, 5)
    kind_before = type(plain)
    policy = dice_tf.policies.with_head(plain, cautious)
    assert isinstance(policy, kind_before)
    copied = COPIES[name](policy)
    for one, other in zip(
        policy.get_weights(), copied.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", MODELS)
def test_keras_files_are_those_of_the_model(tmp_path, kind):
    """They hold neither head nor mask, and name no class of ours."""
    policy = MODELS[kind](13, 5)
    before = keras.saving.serialize_keras_object(policy)
    Actor(POOL, dice_tf.policies.with_head(policy, cautious), 0)
    after = keras.saving.serialize_keras_object(policy)
    assert without_names(after) == without_names(before)
    policy.save(tmp_path / "policy.keras")
    loaded = keras.models.load_model(tmp_path / "policy.keras")
    assert attached(loaded) == (None, None)
    np.testing.assert_array_equal(loaded(tf.eye(13)), policy(tf.eye(13)))


def without_names(config):
    """A class that is not public is named a second time."""
    if isinstance(config, dict):
        return {
            key: without_names(value)
            for key, value in config.items()
            if key != "registered_name"
        }
    if isinstance(config, (list, tuple)):
        return [without_names(value) for value in config]
    return config


def test_a_copy_takes_the_mask_of_the_first_seat_that_it_takes_itself():
    masks = [np.eye(3, dtype=bool), np.ones((3, 2), bool)]
    policy = dice_tf.policies.tabular(masked_game(), 0)
    clone = keras.models.clone_model(policy)
    seen = tf.eye(3, dtype="float64")
    np.testing.assert_array_equal(carried_mask(clone)(seen), ~masks[0])
    Actor(masked_game(action_masks=masks), clone, 0)
    np.testing.assert_array_equal(carried_mask(clone)(seen), masks[0])
    np.testing.assert_array_equal(carried_mask(policy)(seen), ~masks[0])
    clone = keras.models.clone_model(policy)
    Actor(masked_game(action_masks=None), clone, 0)
    assert carried_mask(clone) is None


def test_another_head_of_a_copy_is_its_own():
    policy = dice_tf.policies.with_head(functional(13, 5), cautious)
    clone = keras.models.clone_model(policy)
    dice_tf.policies.with_head(clone, dice_tf.policies.categorical)
    assert attached_head(policy) is cautious
    assert attached_head(clone) is dice_tf.policies.categorical


def test_an_inner_model_does_not_take_the_head_of_an_outer_one():
    inner = sequential(13, 5)
    outer = keras.Sequential([keras.Input((13,)), inner])
    dice_tf.policies.with_head(outer, cautious)
    assert attached_head(inner) is None
    dice_tf.policies.with_head(inner, dice_tf.policies.categorical)
    assert attached_head(outer) is cautious
    clone = keras.models.clone_model(outer)
    assert attached_head(clone) is cautious


def test_what_cannot_be_imported_cannot_be_pickled():
    policy = dice_tf.policies.with_head(functional(13, 5), lambda x: x)
    with pytest.raises(Exception, match="pickle.*lambda"):
        pickle.dumps(policy)
    assert attached_head(copy.deepcopy(policy)) is attached_head(policy)


def test_a_policy_on_the_grid_keeps_the_head_of_the_table():
    table = dice_tf.games.TabularCoinGame(3)
    policy = dice_tf.policies.tabular(table, 0)
    game = dice_tf.games.CoinGame(3)
    player = dice_tf.policies.on_the_grid(game, policy, 0)
    assert attached_head(player) is None
    dice_tf.policies.with_head(policy, cautious)
    player = dice_tf.policies.on_the_grid(game, policy, 0)
    assert attached_head(player) is cautious
