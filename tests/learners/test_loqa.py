"""LOQA, sampled and in closed form, against its definition."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners import LOQA, ActorCritic
from dice_tf.objectives import DiCEObjective, ExactObjective
from tests import oracles
from tests.learners import advantage_oracles
from tests.learners.settings import vector
from tests.toys import (
    ASYMMETRIC,
    EndsEarly,
    NaNBehindTheEnd,
    Pursuit,
    masked_game,
    normal_policy,
    random_params,
    tabular_policies,
)

GAMMA, SEED = 0.9, (1, 2)


def stationary_game(num_actions=(2, 3), num_states=2, length=3):
    rng = np.random.default_rng(4)
    shape = (num_states, *num_actions)
    return dice_tf.games.FiniteGame(
        rng.normal(size=(len(num_actions), *shape)),
        rng.dirichlet(np.ones(num_states), size=shape),
        rng.dirichlet(np.ones(num_states)),
        episode_length=length,
        dtype="float64",
    )


def timed_game():
    """A game whose states tell the step, so that a critic can know all."""
    game = stationary_game()
    S, T = game.num_states, game.episode_length
    transitions = np.zeros((T, S, *game.num_actions, T, S))
    for t in range(T):
        transitions[t, ..., min(t + 1, T - 1), :] = game.transitions
    return dice_tf.games.FiniteGame(
        np.tile(game.rewards, (1, T, 1, 1)),
        transitions.reshape(T * S, *game.num_actions, T * S),
        np.append(game.initial, np.zeros((T - 1) * S)),
        episode_length=T,
        dtype="float64",
    )


GAMES = {
    "two players": stationary_game,
    "three players": lambda: stationary_game((2, 2, 2), length=2),
    "timed": timed_game,
    "masked": lambda: masked_game(3),
}


@functools.cache
def setting(name):
    """An exact objective, its parameters and the oracle of both."""
    game = GAMES[name]()
    objective = ExactObjective(game, tabular_policies(game), GAMMA)
    params = random_params(objective.policies, 5)
    weights = objective.player_weights(params)
    policies = [
        np.exp(actor.log_prob_table(own))
        for actor, own in zip(objective.actors, weights, strict=True)
    ]
    oracle = advantage_oracles.ExactLOQA(game, policies, GAMMA)
    return objective, params, oracle


def policy_of(objective, params, player_id, theta):
    changed = list(params)
    changed[player_id] = [theta]
    weights = objective.player_weights(changed)[player_id]
    return np.exp(objective.actors[player_id].log_prob_table(weights))


# --- In closed form ---------------------------------------------------------


@pytest.mark.parametrize("decay", [1.0, 0.6])
@pytest.mark.parametrize("name", GAMES)
def test_the_closed_form_equals_finite_differences(name, decay):
    objective, params, oracle = setting(name)
    for i in range(objective.num_players):
        expected = oracles.gradient(
            lambda theta, i=i: oracle.mean(
                i, policy_of(objective, params, i, theta), 0.7, decay
            ),
            params[i][0],
        )
        (found,) = LOQA(0.7, decay=decay).gradient(objective, params, i)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_without_weight_it_is_the_exact_gradient_of_undiscounted_steps():
    """At discount 1 that of the mean reward."""
    game = stationary_game()
    objective = ExactObjective(game, tabular_policies(game), 1.0)
    params = random_params(objective.policies, 5)
    (found,) = LOQA(0.0).gradient(objective, params, 0)
    (naive,) = dice_tf.learners.Naive().gradient(objective, params, 0)
    np.testing.assert_allclose(found, naive / 3, atol=1e-12)


# --- Sampled ----------------------------------------------------------------


def with_critics(game, tables, batch_size=8, **options):
    critics = [
        dice_tf.critics.tabular_critic(game, i, action_values=True)
        for i in range(game.num_players)
    ]
    for critic, table in zip(critics, tables, strict=True):
        critic.set_weights([table])
    return DiCEObjective(
        game,
        tabular_policies(game),
        GAMMA,
        batch_size,
        "critic",
        critics,
        **options,
    )


def exact_tables(oracle):
    """Q_i(s, a) of the timed game, at the step that the state tells."""
    game = oracle.game
    num_states = game.num_states // game.episode_length
    return [
        np.array(
            [
                oracle.action_values(s // num_states, s, i)
                for s in range(game.num_states)
            ]
        )
        for i in range(game.num_players)
    ]


@pytest.mark.parametrize("decay", [1.0, 0.6])
def test_sampled_directions_average_to_the_closed_form(decay):
    """With exact action values as critics, over 400 batches."""
    exact, params, oracle = setting("timed")
    sampled = with_critics(oracle.game, exact_tables(oracle))
    learner = LOQA(2.0, decay=decay)

    @tf.function
    def sample(seeds):
        return tf.map_fn(
            lambda seed: learner.gradient(sampled, params, 0, seed)[0],
            seeds,
            fn_output_signature=tf.float64,
        )

    seeds = tf.stack([tf.range(400), tf.fill([400], 7)], axis=1)
    directions = sample(seeds).numpy().reshape(400, -1)
    (expected,) = learner.gradient(exact, params, 0)
    (alone,) = LOQA(0.0).gradient(exact, params, 0)
    errors = directions.std(axis=0, ddof=1) / np.sqrt(400)
    found = np.abs(directions.mean(axis=0) - np.ravel(expected)) / errors
    unshaped = np.abs(directions.mean(axis=0) - np.ravel(alone)) / errors
    assert np.max(found) < 3.0 < np.max(unshaped)


def wrong_tables(game):
    rng = np.random.default_rng(6)
    return [
        rng.normal(size=(game.observation_shapes[i][0], count))
        for i, count in enumerate(game.num_actions)
    ]


@pytest.mark.parametrize("name", ["two players", "ends early", "masked"])
def test_a_sampled_direction_is_that_of_the_definition(name):
    """With action values that are wrong, and `tau` below 1."""
    if name == "ends early":
        # With NaN behind the end, which must not count.
        game = NaNBehindTheEnd(
            dice_tf.games.iterated_matrix_game(ASYMMETRIC, 4, dtype="float64")
        )
    else:
        game = GAMES[name]()
    objective = with_critics(game, wrong_tables(game), tau=0.5)
    params = random_params(objective.policies, 5)
    played = objective.advantages(params, SEED)
    for i in range(2):
        rows = np.argmax(played.trajectory.observations[i], axis=-1)
        actions = played.trajectory.actions[i].numpy()
        tables = {
            j: policy_of(objective, params, j, params[j][0])
            if name != "ends early"
            else oracles.policy(params[j][0])
            for j in (0, 1)
        }

        def scores_of(t, b, i=i, rows=rows, actions=actions, table=tables[i]):
            score = np.zeros_like(params[i][0])
            row, action = rows[t, b], actions[t, b]
            if score.shape[1] == 1:
                score[row, 0] = (action == 0) - table[row, 0]
            else:
                score[row] = (np.arange(score.shape[1]) == action) - table[row]
            return score

        j = 1 - i
        seen = np.argmax(played.trajectory.observations[j], axis=-1)
        expected = advantage_oracles.sampled_loqa(
            played,
            i,
            {j: tables[j][seen] > 0.0},
            gamma=GAMMA,
            weight=0.7,
            decay=0.6,
            scores_of=scores_of,
        )
        (found,) = LOQA(0.7, decay=0.6).gradient(objective, params, i, SEED)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["two players", "masked"])
def test_state_values_are_means_of_action_values(name):
    """By the policy that plays; of an action never taken nothing is kept."""
    game = GAMES[name]()
    tables = wrong_tables(game)
    objective = with_critics(game, tables)
    params = random_params(objective.policies, 5)
    played = objective.advantages(params, SEED)
    for i in range(2):
        pi = policy_of(objective, params, i, params[i][0])
        states = played.trajectory.states.numpy()
        value = np.sum(pi * tables[i], axis=-1)
        np.testing.assert_allclose(played.values[i], value[states], rtol=1e-12)
        known = np.where(pi > 0.0, tables[i], -np.inf)
        np.testing.assert_array_equal(played.action_values[i], known[states])


def test_what_critics_of_actions_say_is_constant():
    """Though the values of states are made of the policies, too."""
    game = stationary_game()
    objective = with_critics(game, wrong_tables(game))
    params = [[tf.constant(x)] for (x,) in random_params(objective.policies, 5)]
    state = objective.initial_state()
    critics = [weights.params for weights in state.critics]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([params, critics])
        played = objective.advantages(params, SEED, state)
    for constant in (
        *played.advantages,
        *played.values,
        *played.rewards,
        *played.action_values,
    ):
        found = tape.gradient(constant, [params, critics])
        assert found == [[[None], [None]]] * 2


def test_its_share_of_shaping_is_seen_in_play():
    game = stationary_game()
    objective = with_critics(game, wrong_tables(game))
    for weight in (0.0, 1.0):
        found = dice_tf.diagnostics.shaping_share(
            LOQA(weight), objective, 0, num_repetitions=1, jit_compile=False
        )
        assert (found.share > 1e-3) == (weight > 0.0)


def test_with_weight_0_it_is_the_actor_critic_of_one_step():
    game = stationary_game()
    tables = wrong_tables(game)
    objective = with_critics(game, tables)
    one_step = with_critics(game, tables, tau=0.0)
    params = random_params(objective.policies, 5)
    found, shaped = (
        vector(LOQA(weight).gradient(objective, params, 1, SEED))
        for weight in (0.0, 1.0)
    )
    expected = vector(ActorCritic().gradient(one_step, params, 1, SEED))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.max(np.abs(shaped - found)) > 1e-3


def test_critics_and_policies_with_memory_are_those_of_each_step():
    """Played step by step, with what each remembers."""
    game = stationary_game()
    critics = [
        dice_tf.critics.gru_critic(game, i, units=2, action_values=True)
        for i in range(2)
    ]
    policies = [dice_tf.policies.gru(game, i, units=2) for i in range(2)]
    for model, weights in zip(
        (*critics, *policies),
        random_params((*critics, *policies), 3),
        strict=True,
    ):
        model.set_weights([*weights, *model.get_weights()[len(weights) :]])
    objective = DiCEObjective(game, policies, GAMMA, 4, "critic", critics)
    played = objective.advantages(objective.initial_params(), SEED)
    for i, critic in enumerate(critics):
        state = memory = [tf.zeros((4, 2), tf.float64)]
        for t in range(game.episode_length):
            seen = played.trajectory.observations[i][t]
            values, *state = critic([seen, *state])
            outputs, *memory = policies[i]([seen, *memory])
            pi = oracles.policy(outputs.numpy())
            np.testing.assert_allclose(
                played.action_values[i][t], values, rtol=1e-6
            )
            np.testing.assert_allclose(
                played.values[i][t], np.sum(pi * values, -1), rtol=1e-6
            )
    direction = LOQA().gradient(
        objective, objective.initial_params(), 0, tf.constant(SEED)
    )
    assert np.all(np.isfinite(vector(direction)))


# --- Critics of action values -----------------------------------------------


@pytest.mark.parametrize("ends_early", [False, True])
def test_critics_of_actions_learn_from_what_was_done_next(ends_early):
    """SARSA: r + gamma Q(s', a'), and the reward alone at the end."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 4, dtype="float64")
    if ends_early:
        game = EndsEarly(game)
    tables = wrong_tables(game)
    objective = with_critics(game, tables, critic_td_lambda=0.0)
    params = random_params(objective.policies, 5)
    play = objective.play(params, SEED)
    critic_params = [[tf.constant(table)] for table in tables]
    with tf.GradientTape() as tape:
        tape.watch(critic_params)
        loss = objective.critic_losses(critic_params, play)[0]
    discounts = play.trajectory.discounts.numpy()
    rows = np.argmax(play.trajectory.observations[0], axis=-1)
    actions = play.trajectory.actions[0].numpy()
    gradient, total, count = np.zeros_like(tables[0]), 0.0, 0
    for b in range(8):
        end = advantage_oracles.end_of(discounts[:, b])
        Q = tables[0][rows[:, b], actions[:, b]]
        for t in range(end + 1):
            target = play.trajectory.rewards[0][t, b].numpy()
            if t < end:
                target += GAMMA * Q[t + 1]
            total += (Q[t] - target) ** 2
            gradient[rows[t, b], actions[t, b]] += 2.0 * (Q[t] - target)
            count += 1
    assert not ends_early or count < 4 * 8
    assert float(loss) == pytest.approx(total / count)
    np.testing.assert_allclose(
        tape.gradient(loss, critic_params[0][0]), gradient / count, atol=1e-12
    )


def test_runs_are_those_of_single_trainers_in_a_mixed_line_up():
    """LOQA against an actor-critic, with critics that learn."""

    def curves(seed, num_seeds):
        game = stationary_game()
        trainer = dice_tf.Trainer(
            with_critics(game, wrong_tables(game), critic_td_lambda=0.0),
            [LOQA(), ActorCritic()],
            num_seeds=num_seeds,
            seed=seed,
            initial_params="random",
        )
        trainer.compile(keras.optimizers.SGD(0.5), jit_compile=False)
        trainer.fit(steps_per_epoch=4, verbose=0)
        return trainer.curves

    found = curves(5, 2)
    assert np.all(np.isfinite(found))
    np.testing.assert_allclose(curves(6, 1)[:, 0], found[:, 1], rtol=1e-9)


# --- Errors -----------------------------------------------------------------


def test_critics_of_states_are_refused():
    game = stationary_game()
    critics = [
        dice_tf.critics.tabular_critic(game, 0, action_values=True),
        dice_tf.critics.tabular_critic(game, 1),
    ]
    objective = DiCEObjective(
        game, tabular_policies(game), GAMMA, 4, "critic", critics
    )
    params = objective.initial_params()
    with pytest.raises(ValueError, match="action values.*none for player 1"):
        LOQA().gradient(objective, params, 0, SEED)
    assert np.any(vector(LOQA().gradient(objective, params, 1, SEED)))


def test_continuous_actions_are_refused():
    objective = DiCEObjective(
        Pursuit(), [normal_policy(), normal_policy()], GAMMA, 4
    )
    params = objective.initial_params()
    with pytest.raises(ValueError, match="LOQA needs finite sets of actions"):
        LOQA().gradient(objective, params, 0, SEED)
    with pytest.raises(ValueError, match="`action_values` needs a finite set"):
        dice_tf.critics.mlp_critic(Pursuit(), 0, action_values=True)


def test_objectives_without_exact_steps_are_refused():
    game = stationary_game()
    endless = ExactObjective(game, tabular_policies(game), GAMMA, None)
    with pytest.raises(ValueError, match="no such mean.*episode_length=None"):
        LOQA().gradient(endless, endless.initial_params(), 0)
    function = dice_tf.objectives.FunctionObjective([lambda params: params])
    with pytest.raises(ValueError, match="Received: FunctionObjective"):
        LOQA().gradient(function, [[tf.ones([])]], 0)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="`weight`"):
        LOQA(-1.0)
    with pytest.raises(ValueError, match="`decay`"):
        LOQA(decay=1.5)
