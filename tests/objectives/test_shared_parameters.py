"""Models cannot share a part of what is trained: objectives say so.

What one model in several seats means is tested in
`tests/training/test_shared_seats.py`.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners import LOLADiCE, Naive
from dice_tf.opponent_models import OpponentModelling
from tests import oracles
from tests.toys import ASYMMETRIC, THREE_PLAYERS

GAME = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 3, dtype="float64")
KINDS = ("ExactObjective", "DiCEObjective", "SurrogateObjective")
layers = keras.layers


def network(trunk=None, name="ann"):
    inputs = keras.Input((5,), dtype="float64")
    trunk = trunk or hidden()
    outputs = layers.Dense(1, dtype="float64", name="last")(trunk(inputs))
    return keras.Model(inputs, outputs, name=name)


def hidden():
    return layers.Dense(4, "tanh", dtype="float64", name="trunk")


class Holder(layers.Layer):
    """Computes with a variable of another layer."""

    def __init__(self, layer):
        super().__init__(dtype="float64")
        self.kernel = layer.kernel

    def call(self, x):
        return x @ self.kernel


def the_same():
    policy = dice_tf.policies.tabular(GAME, 0)
    return policy, policy


def with_one_layer():
    trunk = hidden()
    return network(trunk, "a"), network(trunk, "b")


def with_one_inner_model():
    trunk = keras.Sequential([keras.Input((5,), dtype="float64"), hidden()])
    return network(trunk, "a"), network(keras.Sequential([trunk]), "b")


def with_one_embedding():
    table = layers.Embedding(5, 2, dtype="float64")

    def look_up(inputs):
        index = layers.Lambda(lambda x: tf.argmax(x, -1), dtype="float64")
        return table(index(inputs))

    return network(look_up, "a"), network(look_up, "b")


def with_one_variable():
    trunk = hidden()
    return network(trunk, "a"), network(Holder(trunk), "b")


def one_inside_the_other():
    policy = dice_tf.policies.tabular(GAME, 0)
    inputs = keras.Input((5,), dtype="float64")
    return policy, keras.Model(inputs, 2.0 * policy(inputs), name="b")


SHARED = [
    with_one_layer,
    with_one_inner_model,
    with_one_embedding,
    with_one_variable,
    one_inside_the_other,
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("build", SHARED)
def test_objectives_refuse_policies_that_share_what_is_trained(build, kind):
    message = r"`policies\[0\]` .* and `policies\[1\]` .* share the trainable"
    with pytest.raises(ValueError, match=message):
        getattr(dice_tf.objectives, kind)(GAME, list(build()))


def test_the_error_names_what_is_shared_and_the_remedy():
    message = (
        r"\('a'\) and `policies.1.` \('b'\) share the trainable variables "
        r"'trunk/bias', 'trunk/kernel'\. Only a whole model.*clone_model"
    )
    with pytest.raises(ValueError, match=message):
        dice_tf.objectives.ExactObjective(GAME, with_one_layer())


def test_many_shared_variables_are_counted():
    policy = dice_tf.policies.mlp(GAME, 0, hidden_units=[2, 2])
    inputs = keras.Input((5,), dtype="float64")
    wrapped = keras.Model(inputs, policy(inputs))
    with pytest.raises(ValueError, match=r"kernel' and 2 others\. Only"):
        dice_tf.objectives.ExactObjective(GAME, [policy, wrapped])


def test_any_two_of_many_seats_are_compared():
    game = dice_tf.games.iterated_matrix_game(THREE_PLAYERS, 2)
    policies = [dice_tf.policies.tabular(game, seat) for seat in range(3)]
    inputs = keras.Input(game.observation_shapes[0])
    policies[2] = keras.Model(inputs, policies[0](inputs))
    with pytest.raises(ValueError, match=r"`policies.0.`.*`policies.2.`.*sha"):
        dice_tf.objectives.ExactObjective(game, policies)


def test_a_copy_of_an_objective_refuses_them_too():
    policies = [dice_tf.policies.tabular(GAME, seat) for seat in range(2)]
    objective = dice_tf.objectives.DiCEObjective(GAME, policies)
    with pytest.raises(ValueError, match="share the trainable variables"):
        objective.with_policies(with_one_layer())


# Critics.


def critics_of(first, second):
    policies = [network(name="a"), network(name="b")]
    return dice_tf.objectives.DiCEObjective(
        GAME, policies, baseline="critic", critics=[first, second]
    )


def test_critics_may_not_share_a_part_of_what_is_trained():
    with pytest.raises(ValueError, match=r"`critics.0.`.*`critics.1.`.*share"):
        critics_of(*with_one_layer())


@pytest.mark.parametrize("build", [the_same, with_one_layer])
def test_a_policy_and_a_critic_may_not_share_what_is_trained(build):
    policy, critic = build()
    policies = [policy, network(name="b")]
    critics = [dice_tf.critics.tabular_critic(GAME, 0), critic]
    with pytest.raises(
        ValueError, match=r"`policies.0.`.*`critics.1.`.*share the trainable"
    ):
        dice_tf.objectives.DiCEObjective(
            GAME, policies, baseline="critic", critics=critics
        )


# Opponent models.


def test_models_of_two_opponents_may_not_share_what_is_trained():
    model = dice_tf.policies.tabular(GAME, 1)
    with pytest.raises(ValueError, match=r"`models.1.`.*`models.2.`.*share"):
        OpponentModelling(Naive(), [None, model, model])


def test_a_model_and_the_policy_that_learns_may_not_share_what_is_trained():
    trunk = hidden()
    policies = [network(trunk, "a"), network(name="b")]
    objective = dice_tf.objectives.DiCEObjective(GAME, policies)
    learner = OpponentModelling(Naive(), [None, network(trunk, "model")])
    params = objective.initial_params()
    with pytest.raises(ValueError, match="share the trainable variables"):
        learner.gradient(objective, params, 0, tf.constant([0, 1]))


# What stays as it was.


def test_a_frozen_trunk_may_be_shared_and_the_rest_learns_as_it_should():
    trunk = hidden()
    policies = [network(trunk, "a"), network(trunk, "b")]
    trunk.trainable = False
    objective = dice_tf.objectives.ExactObjective(GAME, policies, 0.9)
    hidden_units = np.tanh(np.add(*trunk.get_weights()))
    lasts = [policy.layers[-1].get_weights() for policy in policies]

    def value(kernel):
        thetas = [
            hidden_units @ weights + bias
            for weights, (_, bias) in zip(
                [kernel, lasts[1][0]], lasts, strict=True
            )
        ]
        return oracles.values(ASYMMETRIC, thetas, 0.9, 3)[0]

    found = Naive().gradient(objective, objective.initial_params(), 0, None)
    np.testing.assert_allclose(
        found[0], oracles.gradient(value, lasts[0][0]), atol=1e-8
    )


def test_a_fixed_policy_may_take_several_seats():
    fixed = dice_tf.policies.tit_for_tat(GAME, 0)
    dice_tf.objectives.ExactObjective(GAME, [fixed, fixed])


def test_clones_are_separate_and_may_start_from_the_same_values():
    policy = dice_tf.policies.tabular(GAME, 0)
    clone = keras.models.clone_model(policy)
    clone.set_weights(policy.get_weights())
    objective = dice_tf.objectives.ExactObjective(GAME, [policy, clone], 0.9)
    trainer = dice_tf.Trainer(objective, [LOLADiCE(1, 0.5), None])
    trainer.compile(keras.optimizers.SGD(0.1))
    before = clone.get_weights()[0]
    trainer.fit(epochs=1, steps_per_epoch=1, verbose=0)
    np.testing.assert_array_equal(clone.get_weights()[0], before)
    assert not np.array_equal(policy.get_weights()[0], before)


def test_a_match_takes_one_policy_in_both_seats():
    policy = dice_tf.policies.tabular(GAME, 0)
    table = policy.get_weights()[0]
    expected = oracles.values(ASYMMETRIC, [table, table], 1.0, 3) / 3
    policies = [policy, policy]
    found = dice_tf.evaluation.play_match(
        GAME, policies, batch_size=20_000, seed=(0, 1), discount=1.0
    )
    error = np.asarray(found.standard_error)
    assert np.all(np.abs(found.mean - expected) <= 4.5 * error)
