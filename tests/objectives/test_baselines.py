"""State values as baselines: of critics, and from the batch itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.games import FiniteGame
from dice_tf.models.seat_models import Weights
from dice_tf.objectives import baselines
from dice_tf.objectives.critic_seats import SeatCritic
from dice_tf.play.actors import Actor
from dice_tf.play.rollouts import sample_trajectory
from tests import oracles
from tests.toys import ASYMMETRIC, Plain, random_params, tabular_policies

T, B, STATES = 6, 5, 4
OF_THE_BATCH = {
    "state_values": baselines.leave_one_out_state_values,
    "bellman_values": baselines.bellman_state_values,
}


def play(seed=0, num_states=STATES):
    """Random states and rewards; the last state is never visited."""
    rng = np.random.default_rng(seed)
    states = rng.integers(num_states - 1, size=(T, B)).astype(np.int32)
    return states, rng.normal(size=(T, B))


def slow_leave_one_out(s, r, num_states, gamma):
    """Mean of G_t of others in the same state, and of m_t + surplus(s_t).

    m_t is the mean of the others, surplus(s) the mean of their G_k - m_k over
    visits of s at any k, weighted by gamma^k.
    """
    returns = oracles.returns_to_go(r, np.full_like(r, gamma))
    mean = oracles.leave_one_out_mean(returns)
    values = np.zeros_like(r)
    for t, b in np.ndindex(*s.shape):
        surplus = weight = 0.0
        for k, other in np.ndindex(*s.shape):
            if other != b and s[k, other] == s[t, b]:
                surplus += gamma**k * (returns[k, other] - mean[k, b])
                weight += gamma**k
        present = [mean[t, b] + (surplus / weight if weight > 0 else 0.0)]
        for other in range(s.shape[1]):
            if other != b and s[t, other] == s[t, b]:
                present.append(returns[t, other])
        values[t, b] = np.mean(present)
    return values


def slow_bellman(s, r, num_states, gamma):
    """V_{T-t}(s_t) with V_k = r + gamma P V_{k-1}, with P and r counted."""
    moves, earned = np.zeros((num_states,) * 2), np.zeros(num_states)
    visits = np.zeros(num_states)
    for t, b in np.ndindex(*s.shape):
        earned[s[t, b]] += r[t, b]
        visits[s[t, b]] += 1
        if t + 1 < len(s):
            moves[s[t, b], s[t + 1, b]] += 1
    shares = moves / np.maximum(moves.sum(axis=1, keepdims=True), 1)
    mean = earned / np.maximum(visits, 1)
    to_go, values = np.zeros(num_states), np.zeros_like(r)
    for t in reversed(range(len(s))):
        to_go = mean + gamma * shares @ to_go
        values[t] = to_go[s[t]]
    return values


SLOW = {"state_values": slow_leave_one_out, "bellman_values": slow_bellman}


@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("name", OF_THE_BATCH)
def test_values_of_the_batch_are_those_of_their_definition(name, gamma):
    states, rewards = play()
    # A state that a single episode visits, once: the others know nothing.
    states[2, 1] = STATES - 1
    for length in range(1, T + 1):
        s, r = states[:length], rewards[:length]
        found = OF_THE_BATCH[name](s, tf.constant(r), STATES, gamma)
        expected = SLOW[name](s, r, STATES, gamma)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", OF_THE_BATCH)
def test_values_of_the_batch_hold_for_many_states(name):
    states, rewards = play(num_states=30)
    found = OF_THE_BATCH[name](states, tf.constant(rewards), 30, 0.9)
    expected = SLOW[name](states, rewards, 30, 0.9)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("name", OF_THE_BATCH)
def test_values_of_the_batch_hold_everything_constant(name):
    states, rewards = play()
    rewards = tf.constant(rewards)
    with tf.GradientTape() as tape:
        tape.watch(rewards)
        values = OF_THE_BATCH[name](states, rewards, STATES, 0.9)
    assert tape.gradient(values, rewards) is None


def test_an_episode_has_no_part_in_its_values_when_it_is_left_out():
    states, rewards = play()
    other = rewards.copy()
    other[:, 2] += 100.0
    one, two = (
        baselines.leave_one_out_state_values(
            states, tf.constant(own), STATES, 0.9
        ).numpy()
        for own in (rewards, other)
    )
    np.testing.assert_allclose(one[:, 2], two[:, 2], rtol=1e-12)
    assert np.abs(one[:, 1] - two[:, 1]).max() > 1.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OF_THE_BATCH)
def test_they_vectorise_and_compile(name, dtype):
    batches = [play(seed) for seed in range(3)]
    inputs = (
        tf.stack([states for states, _ in batches]),
        tf.cast(tf.stack([rewards for _, rewards in batches]), dtype),
    )

    @tf.function(jit_compile=True)
    def values(inputs):
        return tf.vectorized_map(
            lambda own: OF_THE_BATCH[name](*own, STATES, 0.9), inputs
        )

    found = values(inputs)
    assert found.dtype == dtype
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    for own, (states, rewards) in zip(found, batches, strict=True):
        expected = SLOW[name](states, rewards, STATES, 0.9)
        np.testing.assert_allclose(
            own, expected, rtol=tolerance, atol=tolerance
        )


def chance_game(episode_length):
    rng = np.random.default_rng(4)
    return FiniteGame(
        rng.normal(size=(2, 3, 2, 3)),
        rng.dirichlet(np.ones(3), size=(3, 2, 3)),
        rng.dirichlet(np.ones(3)),
        episode_length=episode_length,
        dtype="float64",
    )


def values_to_go(game, tables, discount):
    """V_i(s) with T - t steps to go, `[T, S, N]`, by backward induction."""
    values = np.zeros((game.num_states, game.num_players))
    every = []
    for _ in range(game.episode_length):
        following = values
        values = np.zeros_like(values)
        for s, *joint in np.ndindex(game.rewards.shape[1:]):
            chance = np.prod(
                [
                    np.exp(table[s, action])
                    for table, action in zip(tables, joint, strict=True)
                ]
            )
            now = game.rewards[(slice(None), s, *joint)]
            later = game.transitions[(s, *joint)] @ following
            values[s] += chance * (now + discount * later)
        every.insert(0, values)
    return np.array(every)


@pytest.mark.parametrize("discount", [0.8, 1.0])
@pytest.mark.parametrize("name", OF_THE_BATCH)
def test_values_of_a_large_batch_are_exact_at_every_step(name, discount):
    """In a game of chance, for each player."""
    game = chance_game(episode_length=12)
    policies = tabular_policies(game)
    weights = [
        Weights([tf.constant(own[0])], []) for own in random_params(policies, 1)
    ]
    actors = [Actor(game, policy, i) for i, policy in enumerate(policies)]
    trajectory = sample_trajectory(
        game, actors, weights, batch_size=20_000, seed=[1, 2]
    )
    tables = [
        actor.log_prob_table(own).numpy()
        for actor, own in zip(actors, weights, strict=True)
    ]
    expected = values_to_go(game, tables, discount)
    assert np.ptp(expected[0], axis=0).min() > 0.2
    states = trajectory.states.numpy()
    steps = np.arange(12)[:, np.newaxis]
    # A state has some 400 visits at a step, whose returns vary by some 3.
    tolerance = {"state_values": 0.4, "bellman_values": 0.06}[name]
    for i in range(2):
        found = OF_THE_BATCH[name](
            trajectory.states, trajectory.rewards[i], 3, discount
        )
        np.testing.assert_allclose(
            found, expected[steps, states, i], atol=tolerance
        )


def test_values_of_the_chain_vary_less_than_mean_returns():
    """In episodes that are long beside the horizon of the discount."""
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 50, dtype="float64")
    policies = tabular_policies(game)
    weights = [
        Weights([tf.constant(own[0])], []) for own in random_params(policies, 1)
    ]
    actors = [Actor(game, policy, i) for i, policy in enumerate(policies)]

    @tf.function
    def mean_values(seed):
        trajectory = sample_trajectory(
            game, actors, weights, batch_size=16, seed=seed
        )
        visited = tf.cast(trajectory.states == 0, tf.float64)
        return [
            tf.reduce_sum(
                visited
                * function(trajectory.states, trajectory.rewards[0], 5, 0.9)
            )
            / tf.reduce_sum(visited)
            for function in OF_THE_BATCH.values()
        ]

    values = [mean_values(tf.constant([1, k])) for k in range(1000)]
    mean_returns, chain = np.std(values, axis=0)
    # The ratio is 0.90, with a standard error of 0.01.
    assert chain < 0.95 * mean_returns


# --- In objectives ----------------------------------------------------------


def gradient_of(objective, params):
    with tf.GradientTape() as tape:
        tape.watch(params)
        value = objective(params, [1, 2])[0]
    return tape.gradient(value, params)


@pytest.mark.parametrize("name", OF_THE_BATCH)
def test_objectives_take_them_and_keep_the_value(name):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 5, dtype="float64")
    policies = tabular_policies(game)
    params = [list(map(tf.constant, own)) for own in random_params(policies, 2)]
    values, gradients = [], []
    for baseline in (None, name):
        objective = dice_tf.objectives.DiCEObjective(
            game, policies, 0.9, 2000, baseline
        )
        values.append(objective(params, [1, 2]))
        gradients.append(gradient_of(objective, params)[0][0])
    np.testing.assert_allclose(values[0], values[1], rtol=1e-12)
    exactly = dice_tf.objectives.ExactObjective(game, policies, 0.9)
    expected = gradient_of(exactly, params)[0][0]
    assert np.abs(gradients[1] - expected).max() < 0.1
    assert np.linalg.norm(gradients[1] - expected) < np.linalg.norm(
        gradients[0] - expected
    )


# --- In short episodes ------------------------------------------------------


def short_games(near_tit_for_tat):
    """The prisoner's dilemma of 20 rounds, and parameters for its players."""
    game = dice_tf.games.iterated_prisoners_dilemma(20, dtype="float64")
    policies = tabular_policies(game)
    rng = np.random.default_rng(3)
    if near_tit_for_tat:
        strategy = np.array([[2.0], [-2.0], [2.0], [-2.0], [2.0]])
        params = [
            [strategy + rng.normal(scale=0.1, size=(5, 1))] for _ in range(2)
        ]
    else:
        params = [[rng.uniform(-1.0, 1.0, size=(5, 1))] for _ in range(2)]
    return game, policies, [list(map(tf.constant, own)) for own in params]


def own_and_cross_derivative(objective, params, seed=None):
    """Returns `dV_0/dtheta_0`, and what one sum of it is in `theta_1`."""
    mixture = tf.constant([[0.3], [-1.0], [0.8], [0.5], [1.2]], tf.float64)
    with tf.GradientTape() as outer:
        outer.watch(params)
        with tf.GradientTape() as inner:
            inner.watch(params)
            value = objective(params, seed)[0]
        (gradient,) = inner.gradient(value, params[0])
        mixed = tf.reduce_sum(mixture * gradient)
    return gradient, outer.gradient(mixed, params[1])[0]


def many_derivatives(objective, params, num_seeds):
    """Both of many plays, `[num_seeds, 5, 1]` each."""

    @tf.function(jit_compile=True)
    def compute(seeds):
        return tf.map_fn(
            lambda seed: own_and_cross_derivative(objective, params, seed),
            seeds,
            fn_output_signature=(tf.float64, tf.float64),
        )

    seeds = tf.stack([tf.range(num_seeds), tf.fill([num_seeds], 7)], axis=1)
    return [x.numpy() for x in compute(seeds)]


def test_state_values_leave_no_more_noise_than_leave_one_out_does():
    """In gradients and cross derivatives, where the horizon is near."""
    game, policies, params = short_games(near_tit_for_tat=False)
    noise = {}
    for baseline in ("leave_one_out", *OF_THE_BATCH):
        objective = dice_tf.objectives.DiCEObjective(
            game, policies, 0.96, 64, baseline
        )
        noise[baseline] = [
            np.sqrt(x.var(axis=0, ddof=1).sum())
            for x in many_derivatives(objective, params, 200)
        ]
    for name in OF_THE_BATCH:
        ratios = np.divide(noise[name], noise["leave_one_out"])
        np.testing.assert_array_less(ratios, 1.1)


@pytest.mark.parametrize("name", OF_THE_BATCH)
def test_with_tau_0_gradients_near_tit_for_tat_have_little_bias(name):
    game, policies, params = short_games(near_tit_for_tat=True)
    exactly = dice_tf.objectives.ExactObjective(game, policies, 1.0)
    expected = own_and_cross_derivative(exactly, params)[0].numpy()
    objective = dice_tf.objectives.DiCEObjective(
        game, policies, 1.0, 64, name, tau=0.0
    )
    found = many_derivatives(objective, params, 300)[0]
    bias = found.mean(axis=0) - expected
    assert np.linalg.norm(bias) < 0.1 * np.linalg.norm(expected)


# --- Critics ----------------------------------------------------------------


def constant_critic(game, num_outputs=1):
    return keras.Sequential(
        [
            keras.Input(game.observation_shapes[0], dtype="float64"),
            keras.layers.Dense(num_outputs, dtype="float64"),
        ]
    )


@pytest.mark.parametrize("player_id", [0, 1])
def test_a_critic_values_what_its_player_sees(player_id):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 4, dtype="float64")
    critic = dice_tf.critics.tabular_critic(game, player_id)
    table = np.arange(5.0)[:, np.newaxis]
    critic.set_weights([table])
    policies = tabular_policies(game)
    for kind in (game, Plain(game)):
        actors = [Actor(kind, policy, i) for i, policy in enumerate(policies)]
        weights = [actor.model.weights() for actor in actors]
        trajectory = sample_trajectory(
            kind, actors, weights, batch_size=3, seed=[1, 2]
        )
        seat = SeatCritic(critic, kind, player_id)
        values = seat(seat.model.weights(), trajectory)
        expected = trajectory.observations[player_id] @ table
        np.testing.assert_array_equal(values, expected[..., 0])


def make(baseline, batch_size=4, kind=lambda game: game, critics=None):
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 4, dtype="float64")
    policies = tabular_policies(game)
    if critics is not None:
        critics = critics(game)
    return dice_tf.objectives.DiCEObjective(
        kind(game), policies, 0.9, batch_size, baseline, critics
    )


def two_critics(game):
    return [constant_critic(game) for _ in range(2)]


@pytest.mark.parametrize(
    "error, arguments, message",
    [
        (ValueError, {"baseline": "values"}, "`baseline` must be one of None"),
        (
            ValueError,
            {"baseline": "leave_one_out", "batch_size": 1},
            "'leave_one_out' needs `batch_size` of at least 2",
        ),
        (
            ValueError,
            {"baseline": "state_values", "batch_size": 1},
            "'state_values' needs `batch_size` of at least 2",
        ),
        (
            ValueError,
            {"baseline": "bellman_values", "kind": Plain},
            "needs a game with finitely many states .*Received: Plain",
        ),
        (ValueError, {"baseline": "critic"}, "belong together.*and no critics"),
        (
            ValueError,
            {"baseline": None, "critics": two_critics},
            "belong together.*baseline=None and some critics",
        ),
        (
            ValueError,
            {
                "baseline": "critic",
                "critics": lambda game: [constant_critic(game)],
            },
            "`critics` must have one entry for each of 2",
        ),
        (
            ValueError,
            {
                "baseline": "critic",
                "critics": lambda game: [constant_critic(game, 3)] * 2,
            },
            r"`critics\[0\]` must have 1 output, the value, or 2, one per act",
        ),
        (
            TypeError,
            {"baseline": "critic", "critics": lambda game: [3, 4]},
            r"`critics\[0\]` must be a keras.Model",
        ),
    ],
)
def test_baselines_that_do_not_fit_are_refused(error, arguments, message):
    with pytest.raises(error, match=message):
        make(**arguments)


def test_a_single_episode_is_enough_for_the_chain():
    objective = make("bellman_values", batch_size=1)
    values = objective(objective.initial_params(), [1, 2])
    assert np.all(np.isfinite(values))
