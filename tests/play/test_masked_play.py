"""Games with illegal actions: played, differentiated, trained, evaluated."""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf import evaluation, learners
from dice_tf.objectives import DiCEObjective, ExactObjective, Objective
from dice_tf.play.actors import Actor
from dice_tf.play.rollouts import sample_trajectory
from dice_tf.play.trajectories import (
    Trajectory,
    player_divergences,
    player_entropies,
    player_log_probs,
)
from tests import oracles
from tests.toys import Plain, masked_game, random_params, tabular_policies

DISCOUNT = 0.9
STEPS = 3


class Unnumbered(Plain):
    """Hides the states, but not what is legal."""

    def legal_actions(self, observations, player_id):
        return self.hidden.legal_actions(observations, player_id)


def actors_of(game, policies):
    return [Actor(game, policy, i) for i, policy in enumerate(policies)]


def recurrent(game):
    return [dice_tf.policies.gru(game, i, units=3) for i in range(2)]


# --- Play -------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap, build",
    [
        (lambda game: game, tabular_policies),
        (Unnumbered, tabular_policies),
        (lambda game: game, recurrent),
    ],
    ids=["by_state", "by_observation", "recurrent"],
)
def test_nothing_illegal_is_ever_played(wrap, build):
    """20,000 moves of each player, all legal, all legal ones among them."""
    game = wrap(masked_game(10, "float32"))
    actors = actors_of(game, build(game))
    weights = [actor.model.weights() for actor in actors]
    play = tf.function(
        lambda seed: sample_trajectory(
            game, actors, weights, batch_size=2000, seed=seed
        )
    )
    trajectory = play(tf.constant([1, 2]))
    for player_id, actions in enumerate(trajectory.actions):
        state = np.argmax(trajectory.observations[player_id], axis=-1)
        counts = np.zeros((3, game.num_actions[player_id]), int)
        np.add.at(counts, (state, actions.numpy()), 1)
        legal = masked_game().action_masks[player_id]
        assert np.all((counts > 0) == legal)


@pytest.mark.parametrize("wrap", [lambda game: game, Unnumbered])
def test_what_is_measured_of_play_is_finite_and_right(wrap):
    game = wrap(masked_game(4))
    policies = tabular_policies(game)
    actors = actors_of(game, policies)
    weights, others = (
        [
            actor.model.weights()._replace(params=own)
            for actor, own in zip(
                actors, random_params(policies, seed), strict=True
            )
        ]
        for seed in (1, 2)
    )
    trajectory = sample_trajectory(
        game, actors, weights, batch_size=30, seed=[3, 4]
    )
    for i, actor in enumerate(actors):
        legal = masked_game().action_masks[i]
        p, q = (
            masked_softmax(own[i].params[0], legal) for own in (weights, others)
        )
        state = np.argmax(trajectory.observations[i], axis=-1)
        seat = actor, weights[i]
        with np.errstate(divide="ignore", invalid="ignore"):
            entropies = -np.where(legal, p * np.log(p), 0.0).sum(axis=1)
            ratios = np.where(legal, p * np.log(p / q), 0.0).sum(axis=1)
        np.testing.assert_allclose(
            np.exp(player_log_probs(*seat, trajectory, i)),
            p[state, trajectory.actions[i]],
        )
        np.testing.assert_allclose(
            player_entropies(*seat, trajectory, i), entropies[state]
        )
        np.testing.assert_allclose(
            player_divergences(*seat, actor, others[i], trajectory, i),
            ratios[state],
        )


def test_policies_with_memory_have_finite_derivatives():
    game = masked_game(4)
    actors = actors_of(game, recurrent(game))
    weights = [actor.model.weights() for actor in actors]
    trajectory = sample_trajectory(
        game, actors, weights, batch_size=5, seed=[3, 4]
    )
    for i, actor in enumerate(actors):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights[i].params)
            log_probs = player_log_probs(actor, weights[i], trajectory, i)
            entropies = player_entropies(actor, weights[i], trajectory, i)
            total = tf.reduce_sum(log_probs + entropies)
        assert np.all(log_probs > -20.0)
        state = trajectory.states.numpy()
        is_free = game.action_masks[i].sum(axis=1)[state] > 1
        np.testing.assert_array_equal(entropies.numpy() > 0.0, is_free)
        for own in tape.gradient(total, weights[i].params):
            assert np.all(np.isfinite(own)) and np.any(own != 0.0)


def masked_softmax(theta, legal):
    """Probabilities of a table; one column is the log-odds of action 0."""
    logits = np.asarray(theta)
    if logits.shape[1] < legal.shape[1]:
        logits = np.concatenate([logits, np.zeros_like(logits)], axis=1)
    weights = np.exp(logits) * legal
    return weights / weights.sum(axis=1, keepdims=True)


# --- Values and their derivatives -------------------------------------------


def values(thetas):
    """The expected returns of both, step by step, in NumPy."""
    game = masked_game(STEPS)
    tables = [
        masked_softmax(theta, legal)
        for theta, legal in zip(thetas, game.action_masks, strict=True)
    ]
    chances, total = game.initial, 0.0
    for t in range(STEPS):
        joint = np.einsum("s,sa,sb->sab", chances, *tables)
        earned = np.einsum("sab,nsab->n", joint, game.rewards)
        total = total + DISCOUNT**t * earned
        chances = np.einsum("sab,sabz->z", joint, game.transitions)
    return total


class Enumerated(Objective):
    """The expectation of the DiCE objective over all trajectories.

    Weighted by probabilities that are held constant: derivatives are those of
    DiCE, from the log-probabilities of play, without noise.
    """

    def __init__(self, game, policies):
        self.num_players = 2
        self.actors = actors_of(game, policies)
        moves = [
            (state, a, b)
            for state in range(3)
            for a, b in itertools.product(range(3), range(2))
            if game.action_masks[0][state, a] and game.action_masks[1][state, b]
        ]
        # [T, 3, n].
        played = np.array(list(itertools.product(moves, repeat=STEPS)))
        states, *actions = played.transpose(2, 1, 0)
        self.chances = game.initial[states[0]]
        for t in range(STEPS - 1):
            row = (states[t], actions[0][t], actions[1][t], states[t + 1])
            self.chances = self.chances * game.transitions[row]
        self.trajectory = Trajectory(
            tuple(
                tf.constant(table[states], game.dtype)
                for table in game.observations
            ),
            tuple(tf.constant(own, tf.int32) for own in actions),
            tuple(
                tf.constant(table[(states, *actions)], game.dtype)
                for table in game.rewards
            ),
            tf.ones(states.shape, game.dtype),
            tf.constant(states, tf.int32),
        )

    def _values(self, params, seed, state):
        log_probs = tf.add_n(
            [
                player_log_probs(
                    actor,
                    actor.model.weights()._replace(params=list(own)),
                    self.trajectory,
                    i,
                )
                for i, (actor, own) in enumerate(
                    zip(self.actors, params, strict=True)
                )
            ]
        )
        chances = self.chances * tf.exp(tf.reduce_sum(log_probs, axis=0))
        return tuple(
            tf.reduce_sum(
                tf.stop_gradient(chances)
                * dice_tf.dice_objective(log_probs, own, discount=DISCOUNT)
            )
            for own in self.trajectory.rewards
        )


@functools.cache
def setting():
    """The game, its policies, and random parameters."""
    game = masked_game(STEPS)
    policies = tabular_policies(game)
    return game, policies, random_params(policies, 4)


@functools.cache
def objective(kind):
    game, policies, _ = setting()
    if kind == "exact":
        return ExactObjective(game, policies, DISCOUNT)
    return Enumerated(game, policies)


@pytest.mark.parametrize("kind", ["exact", "enumerated"])
def test_values_are_those_of_the_legal_actions(kind):
    params = setting()[2]
    np.testing.assert_allclose(
        objective(kind)(params, None), values([own[0] for own in params])
    )


@pytest.mark.parametrize("kind", ["exact", "enumerated"])
@pytest.mark.parametrize("player_id", [0, 1])
def test_the_direction_of_lola_dice_is_the_total_derivative(player_id, kind):
    """One look-ahead, by finite differences of values in NumPy."""
    params = setting()[2]
    (found,) = learners.LOLADiCE(1, 1.5).gradient(
        objective(kind), params, player_id
    )
    expected = oracles.lola_dice(
        values, [own[0] for own in params], player_id, 1, [1.5, 1.5]
    )
    np.testing.assert_allclose(found, expected, atol=1e-8)
    # Nothing depends on logits of what is illegal, at any order.
    if player_id == 0:
        np.testing.assert_allclose(np.diagonal(found), 0.0, atol=1e-14)


@pytest.mark.parametrize("baseline", ["leave_one_out", "bellman_values"])
def test_sampled_gradients_average_to_the_exact_one(baseline):
    game, policies, params = setting()
    sampled = DiCEObjective(game, policies, DISCOUNT, 32, baseline)
    (found,) = dice_tf.diagnostics.derivative_statistics(
        sampled, 1, params=params, orders=(1,), num_repetitions=300
    )
    errors = np.maximum(found.standard_error, 1e-12)
    assert np.max(np.abs(found.bias) / errors) < 4.0


# --- Training ---------------------------------------------------------------


def test_a_compiled_trainer_trains():
    game = masked_game(3, "float32")
    policies = tabular_policies(game)
    trainer = dice_tf.Trainer(
        DiCEObjective(game, policies, DISCOUNT, 64, "leave_one_out"),
        [learners.Naive(), None],
        entropy_coefficient=0.01,
    )
    before = evaluation.exact_match(game, policies, discount=DISCOUNT).mean[0]
    trainer.compile(keras.optimizers.SGD(1.0), jit_compile=True)
    history = trainer.fit(epochs=2, steps_per_epoch=10, verbose=0).history
    assert np.all(np.isfinite(list(history.values())))
    after = evaluation.exact_match(game, policies, discount=DISCOUNT).mean[0]
    assert after > before + 0.02


@pytest.mark.parametrize(
    "learner",
    [
        learners.POLA(2, inner_penalty=0.1),
        dice_tf.opponent_models.OpponentModelling(
            learners.LOLADiCE(1, 0.3),
            models=[None, dice_tf.policies.mlp(masked_game(2), 1)],
        ),
    ],
    ids=["pola", "opponent_modelling"],
)
def test_divergences_and_models_of_opponents_stay_finite(learner):
    game = masked_game(2)
    policies = tabular_policies(game)
    sampled = DiCEObjective(game, policies, DISCOUNT, 8)
    params = tf.nest.map_structure(tf.constant, random_params(policies, 2))
    step = learner.step(
        sampled, params, 0, tf.constant([1, 2]), learner.init(params)
    )
    assert all(np.all(np.isfinite(x)) for x in tf.nest.flatten(step))


# --- Evaluation -------------------------------------------------------------


def test_matches_exact_and_played_agree_and_are_legal():
    game = masked_game(6)
    policies = [dice_tf.policies.random(game, i) for i in range(2)]
    exact = evaluation.exact_match(game, policies, discount=DISCOUNT)
    played = evaluation.play_match(
        game, policies, batch_size=4000, seed=(1, 2), discount=DISCOUNT
    )
    errors = np.abs(played.mean - exact.mean) / played.standard_error
    assert np.max(errors) < 4.0
    table = evaluation.action_probabilities(game, policies[0], 0)
    np.testing.assert_allclose(table, game.action_masks[0] / 2.0)


@pytest.mark.parametrize("episode_length", [3, None])
@pytest.mark.parametrize("player_id", [0, 1])
def test_a_best_response_is_the_best_of_the_legal_ones(
    player_id, episode_length
):
    """The best action in most states would be an illegal one."""
    rewards = masked_game().rewards + 10.0 * np.stack(
        [
            ~masked_game().action_masks[0][:, :, np.newaxis]
            * np.ones((3, 3, 2)),
            ~masked_game().action_masks[1][:, np.newaxis] * np.ones((3, 3, 2)),
        ]
    )
    game = masked_game(3, rewards=rewards)
    policies = tabular_policies(game)
    response = evaluation.best_response(
        game,
        policies,
        player_id,
        discount=DISCOUNT,
        episode_length=episode_length,
    )
    legal = game.action_masks[player_id]
    assert np.all(legal[np.arange(3), response.actions])
    if episode_length is None:
        choices = itertools.product(*(np.flatnonzero(row) for row in legal))
        found = []
        for actions in choices:
            policies[player_id] = dice_tf.policies.fixed_policy(
                game, player_id, np.eye(legal.shape[1])[list(actions)]
            )
            match = evaluation.exact_match(
                game, policies, discount=DISCOUNT, episode_length=None
            )
            found.append(match.mean[player_id])
        assert response.value == pytest.approx(max(found), rel=1e-9)
