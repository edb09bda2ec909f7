"""What is equal apart from the values of variables, and what is not."""

import collections
import functools
import pickle
import re
import threading
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.policies.action_masks import masked_head
from dice_tf.training.fingerprints import NotComparableError, fingerprint
from tests.training.variants import (
    DIFFERENT,
    make_game,
    make_policies,
    make_trainer,
    with_learner,
)


def key_of(thing):
    return fingerprint(thing).key


def key_of_step(**options):
    return key_of(make_trainer(**options)._step)


def test_whatever_differs_shows():
    """Each of these would be another program, and each is made twice."""
    found = {}
    for name, options in DIFFERENT.items():
        key = key_of_step(**options)
        assert found.setdefault(key, name) == name
        assert key_of_step(seed=7, name="named", **options) == key
    assert len(found) == len(DIFFERENT)


def test_values_of_variables_do_not_show():
    """Nor do seeds, rates of optimisers, names and who called a model."""
    plain, other = make_trainer(), make_trainer(seed=3)
    other.set_weights([value + 1 for value in other.get_weights()])
    other.optimizer.learning_rate = 0.7
    other.objective.policies[0](tf.eye(5))
    assert key_of(plain._step) == key_of(other._step)
    policies = make_policies(make_game())
    for policy in policies:
        policy.name = f"other_{policy.name}"
    assert key_of(policies) == key_of(make_policies(make_game()))


@pytest.mark.parametrize(
    ("one", "another"),
    [
        (1, 1.0),
        (1, True),
        (0, False),
        (0.0, -0.0),
        (1.0, np.float64(1.0)),
        (1.0, np.nextafter(1.0, 2.0).item()),
        ("1", 1),
        ("1", b"1"),
        ((1, 2), [1, 2]),
        ((1, (2,)), (1, 2)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1, 2}, frozenset({1, 2})),
        (np.zeros(2, np.float32), np.zeros(2, np.int32)),
        (np.zeros([2, 1]), np.zeros([1, 2])),
        (np.array([0.0]), np.array([-0.0])),
        (tf.zeros([2]), np.zeros(2, np.float32)),
        (tf.zeros([2]), tf.ones([2])),
        (tf.float32, tf.float64),
        (keras.activations.tanh, keras.activations.sigmoid),
        (dice_tf.learners.LOLA, dice_tf.learners.SOS),
        (
            functools.partial(keras.activations.elu, alpha=1.0),
            functools.partial(keras.activations.elu, alpha=2.0),
        ),
        (
            collections.defaultdict(list, a=1),
            collections.defaultdict(dict, a=1),
        ),
    ],
    # The names of functions in tests must not change from process to process.
    ids=lambda value: type(value).__name__,
)
def test_values_are_told_apart(one, another):
    assert key_of([one]) == key_of([one])
    assert key_of([one]) != key_of([another])


def test_what_is_shared_differs_from_what_is_equal():
    learner = dice_tf.learners.Naive()
    two = [dice_tf.learners.Naive(), dice_tf.learners.Naive()]
    assert key_of([learner, learner]) == key_of([two[0], two[0]])
    assert key_of([learner, learner]) != key_of(two)


def test_variables_stand_in_the_order_of_their_places():
    first, second = tf.Variable(1.0), tf.Variable([2.0])
    found = fingerprint({"a": [second, first], "b": second})
    assert [id(x) for x in found.variables] == [id(second), id(first)]
    assert key_of([first]) == key_of([tf.Variable(3.0)])
    assert key_of([first]) != key_of([second])
    assert key_of([first]) != key_of([tf.Variable(3.0, dtype=tf.float64)])
    assert key_of([first, first]) != key_of([first, tf.Variable(1.0)])


def test_closures_count_by_what_they_hold():
    bernoulli = dice_tf.distributions.bernoulli
    categorical = dice_tf.distributions.categorical
    # Each is a function that is made inside of a function of the library.
    one, equal, another = [
        key_of(masked_head(head, None))
        for head in (bernoulli, bernoulli, categorical)
    ]
    assert one == equal != another


class OwnGame(dice_tf.games.game.Game):
    """What a user wrote, of which no attribute shows what it does."""

    def __init__(self):
        self.num_players = 2

    def reset(self, seed, batch_size):
        raise NotImplementedError

    def step(self, state, actions, seed):
        raise NotImplementedError


class OwnNaive(dice_tf.learners.Naive):
    """A learner of a user."""


class OwnDense(keras.layers.Dense):
    """A layer of a user."""


class OwnAdam(keras.optimizers.Adam):
    """An optimiser of a user."""


def own_activation(x):
    return tf.tanh(x)


def pretending(function):
    """A function that says that it is another one."""
    return functools.wraps(dice_tf.learners.Naive.step)(function)


class Slots:
    __slots__ = ("value",)


@pytest.mark.parametrize(
    "thing",
    [
        OwnGame(),
        OwnNaive(),
        OwnDense(2),
        OwnAdam(),
        OwnGame,
        own_activation,
        lambda x: x,
        pretending(lambda x: x),
        functools.partial(own_activation),
        keras.layers.Dense(2, activation=own_activation),
        keras.layers.Lambda(lambda x: x),
        Slots(),
        object(),
        threading.Lock(),
        threading.local(),
        iter([1]),
        (x for x in [1]),
        {(1, 2)},
        np.array([object()]),
        np.random.default_rng(0),
        "".join,
        tf.function(own_activation),
        tf.constant("a"),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_what_is_not_known_by_its_value_has_no_fingerprint(thing):
    with pytest.raises(NotComparableError, match="is not known by its value"):
        fingerprint([thing])


def test_a_function_with_an_empty_cell_has_no_fingerprint():
    def with_cell():
        return value

    function = types.FunctionType(
        with_cell.__code__,
        vars(dice_tf.learners.naive),
        closure=with_cell.__closure__,
    )
    with pytest.raises(NotComparableError, match="function is not known by"):
        fingerprint(function)
    value = 1.0
    assert key_of(function) == key_of(function)


class Unprintable:
    """An object whose `repr` fails."""

    __slots__ = ()

    def __repr__(self):
        raise AttributeError("what is printed")


@pytest.mark.parametrize("thing", [Unprintable, Unprintable()])
def test_the_message_names_the_type(thing):
    message = f"{__name__}.Unprintable is not known by its value"
    with pytest.raises(NotComparableError, match=re.escape(message)):
        fingerprint(thing)


def test_a_symbolic_tensor_has_no_fingerprint():
    @tf.function(autograph=False)
    def traced(x):
        with pytest.raises(NotComparableError, match="is not known by its val"):
            fingerprint([x])
        return x

    traced(tf.constant(1.0))


@pytest.mark.parametrize("name", ["step", "metric_names", "anything"])
def test_a_function_that_a_user_sets_on_an_object_is_seen(name):
    learner = dice_tf.learners.Naive()
    setattr(learner, name, lambda *arguments: arguments)
    with pytest.raises(NotComparableError, match="is not known by its value"):
        fingerprint(learner)


def test_a_method_of_the_library_that_is_set_on_an_object_shows():
    plain, changed = dice_tf.learners.Naive(), dice_tf.learners.Naive()
    changed.step = dice_tf.learners.LOLADiCE(0).step
    assert key_of(plain) != key_of(changed)


def test_what_a_policy_carries_in_its_class_shows():
    """A head, see `dice_tf.policies.attachments`."""
    heads = dice_tf.distributions.bernoulli, dice_tf.distributions.categorical
    plain, *carrying = [make_policies(make_game())[0] for _ in range(4)]
    for policy, head in zip(carrying, (*heads, heads[0]), strict=True):
        dice_tf.policies.with_head(policy, head)
    keys = [key_of(policy) for policy in (plain, *carrying)]
    assert len(set(keys)) == 3 and keys[1] == keys[3]
    dice_tf.policies.with_head(plain, lambda outputs: heads[0](outputs))
    with pytest.raises(NotComparableError, match="is not known by its value"):
        fingerprint(plain)
    type(carrying[0]).call = own_activation
    with pytest.raises(NotComparableError, match="is not known by its value"):
        fingerprint(carrying[0])


def test_an_array_that_is_changed_in_place_shows():
    game = make_game()
    game.rewards = np.array(game.rewards)
    before = key_of(game)
    game.rewards.flat[0] += 1.0
    assert key_of(game) != before


def test_the_size_of_arrays_is_not_that_of_keys():
    sizes = [
        len(pickle.dumps(key_of([np.zeros(number), tf.zeros([number])])))
        for number in (10, 10**5)
    ]
    assert sizes[1] < sizes[0] + 100


def test_variables_that_an_optimizer_excludes_by_name_have_none():
    optimizer = keras.optimizers.AdamW(0.1)
    optimizer.exclude_from_weight_decay(var_names=["parameter_0"])
    with pytest.raises(NotComparableError, match="is not known by its value"):
        fingerprint(optimizer)


def test_what_keras_notes_on_weight_decay_does_not_show():
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.1)
    optimizer.build([keras.Variable(1.0)])
    before = key_of(optimizer)
    optimizer.apply([tf.constant(1.0)])
    assert optimizer._exclude_from_weight_decay_cache
    assert key_of(optimizer) == before


def test_an_exclusion_that_keras_only_remembers_shows():
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["parameter"])
    optimizer.build([keras.Variable(1.0, name="parameter")])
    optimizer.apply([tf.constant(1.0)])
    optimizer._exclude_from_weight_decay_pattern = None
    with pytest.raises(NotComparableError, match="is not known by its value"):
        fingerprint(optimizer)


def test_layers_that_are_frozen_show():
    def policies(trainable):
        made = make_policies(make_game())
        made[0].layers[1].trainable = trainable
        return made

    assert key_of(policies(True)) != key_of(policies(False))


def test_what_a_learner_remembers_does_not_show():
    rates = dice_tf.learners.FittedRates(0.5)
    options = with_learner(dice_tf.learners.LOLADiCE, 1, rates)
    keys = [
        key_of_step(seed=seed, initial_params="random", **options)
        for seed in (0, 1)
    ]
    assert keys[0] == keys[1]
