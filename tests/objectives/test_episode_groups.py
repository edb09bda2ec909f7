"""Groups of episodes: the same values and derivatives, in less at a time."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.objectives import DiCEObjective, SurrogateObjective, sampled
from tests.strategies import on_replicas
from tests.toys import (
    ASYMMETRIC,
    EndsEarly,
    random_params,
    tabular_policies,
)

pytestmark = pytest.mark.own_process

BATCH_SIZE, SEED = 12, [2, 5]


def pair(baseline=None, wrap=lambda game: game, cls=DiCEObjective, **options):
    """An objective that takes the batch whole, and one in three groups."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 4, dtype="float64")
    game = wrap(game)
    policies = tabular_policies(game)
    critics = None
    if baseline == "critic":
        critics = [dice_tf.critics.tabular_critic(game, i) for i in range(2)]
        for critic, own in zip(critics, random_params(critics, 1), strict=True):
            critic.set_weights(own)
    params = [
        [tf.constant(x) for x in own] for own in random_params(policies, 3)
    ]
    objectives = [
        cls(
            game,
            policies,
            0.9,
            BATCH_SIZE,
            baseline,
            critics,
            num_groups=num_groups,
            **options,
        )
        for num_groups in (1, 3)
    ]
    return objectives, params


def lola_dice(objective, params):
    learner = dice_tf.learners.LOLADiCE(1, 0.7)
    gradient = tf.function(
        lambda: learner.gradient(objective, params, 0, SEED), autograph=False
    )
    return gradient()[0].numpy()


@pytest.mark.parametrize("baseline", [None, "leave_one_out", "state_values"])
def test_look_aheads_in_groups_are_those_of_the_batch(baseline):
    objectives, params = pair(baseline)
    whole, grouped = (lola_dice(own, params) for own in objectives)
    assert np.abs(whole).max() > 1e-3
    np.testing.assert_allclose(grouped, whole, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    "options",
    [
        {"wrap": EndsEarly, "baseline": "leave_one_out"},
        {"baseline": "critic", "lambda_": 0.9, "tau": 0.5},
        {"cls": SurrogateObjective, "baseline": "leave_one_out"},
    ],
    ids=["ends_early", "loaded_dice", "surrogate"],
)
def test_any_objective_and_game_can_be_grouped(options):
    objectives, params = pair(**options)
    whole, grouped = (lola_dice(own, params) for own in objectives)
    np.testing.assert_allclose(grouped, whole, rtol=1e-10, atol=1e-13)


def test_derivatives_of_the_third_order_are_those_of_the_batch():
    objectives, (own, other) = pair("leave_one_out")
    x, y = own[0], other[0]
    found = []
    for objective in objectives:

        @tf.function(autograph=False)
        def third(objective=objective):
            with tf.GradientTape() as outer:
                outer.watch([x, y])
                with tf.GradientTape() as middle:
                    middle.watch(y)
                    with tf.GradientTape() as inner:
                        inner.watch(x)
                        value = objective([[x], [y]], SEED)[0]
                    first = tf.reduce_sum(inner.gradient(value, x) * x)
                second = tf.reduce_sum(middle.gradient(first, y) * y)
            return outer.gradient(second, [x, y])

        found.append(third())
    for whole, grouped in zip(*found, strict=True):
        assert np.abs(whole).max() > 1e-3
        np.testing.assert_allclose(grouped, whole, rtol=1e-10, atol=1e-12)


def test_compiled_training_of_several_runs_is_the_same():
    game = dice_tf.games.iterated_prisoners_dilemma(4)
    policies = tabular_policies(game)
    curves = []
    for num_groups in (1, 3):
        objective = DiCEObjective(
            game, policies, 0.9, BATCH_SIZE, num_groups=num_groups
        )
        learner = dice_tf.learners.LOLADiCE(1, 0.5)
        trainer = dice_tf.Trainer(objective, [learner, None], num_seeds=2)
        trainer.compile("sgd", jit_compile=True)
        trainer.fit(epochs=2, steps_per_epoch=2, verbose=0)
        curves.append(trainer.curves)
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-5)


def test_replicas_take_their_shares_in_groups():
    objectives, params = pair("leave_one_out")
    learner = dice_tf.learners.Naive()

    def gradient():
        return learner.gradient(objectives[1], params, 0, SEED)

    whole = learner.gradient(objectives[0], params, 0, SEED)[0]
    for (own,) in on_replicas(gradient):
        np.testing.assert_allclose(own, whole, rtol=1e-10, atol=1e-13)


def test_only_one_group_is_evaluated_at_a_time(monkeypatch):
    """Else groups would save nothing."""
    seen = []

    def spy(actor, weights, trajectory, player_id):
        seen.append(trajectory.rewards[0].shape)
        return plain(actor, weights, trajectory, player_id)

    plain = sampled.player_log_probs
    monkeypatch.setattr(sampled, "player_log_probs", spy)
    objectives, params = pair()
    lola_dice(objectives[1], params)
    assert set(map(tuple, seen)) == {(4, BATCH_SIZE // 3)}


def test_groups_of_different_sizes_are_refused():
    game = dice_tf.games.iterated_prisoners_dilemma(4)
    with pytest.raises(ValueError, match="must divide.*num_groups=5, for 12"):
        DiCEObjective(
            game, tabular_policies(game), 0.9, BATCH_SIZE, num_groups=5
        )
    with pytest.raises(ValueError, match="`num_groups` must be"):
        DiCEObjective(
            game, tabular_policies(game), 0.9, BATCH_SIZE, num_groups=0
        )
