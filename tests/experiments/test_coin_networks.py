"""Networks of the Coin Game, and the bots, against slow NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from experiments.coins.bots import bot
from experiments.coins.coin_settings import BOTS
from experiments.coins.coin_training import measurement
from experiments.coins.networks import build_network

SIZE = 3
STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0))


def observations_of(game, num_steps=30, batch_size=40):
    """Plays at random; returns what player 0 sees, `[T * B, ...]`."""
    policies = [dice_tf.policies.mlp(game, i) for i in range(2)]
    objective = dice_tf.objectives.DiCEObjective(game, policies, 0.9, 40, None)
    params = objective.initial_params()
    trajectory = objective.play(params, (0, 1)).trajectory
    seen = trajectory.observations[0]
    return tf.reshape(seen, [-1, *seen.shape[2:]]).numpy()


@pytest.fixture(scope="module")
def game():
    return dice_tf.games.CoinGameWithMemory(dice_tf.games.CoinGame(30))


@pytest.fixture(scope="module")
def observations(game):
    return observations_of(game)


def test_networks_do_the_same_wherever_on_the_torus_it_happens(
    game, observations
):
    network = build_network(game, "mlp", 16, 4)
    expected = network(observations)
    for shift in ((1, 0), (2, 2)):
        elsewhere = np.roll(observations, shift, axis=(2, 3))
        np.testing.assert_allclose(network(elsewhere), expected, atol=1e-6)
    assert np.ptp(expected, axis=0).min() > 0.1


@pytest.mark.parametrize("kind", ["mlp", "gru", "min_gru"])
def test_networks_are_policies_and_critics_that_can_be_saved(kind, tmp_path):
    grid = dice_tf.games.CoinGame(4)
    if kind == "mlp":
        grid = dice_tf.games.CoinGameWithMemory(grid)
    policy, critic = (build_network(grid, kind, 5, size) for size in (4, 1))
    objective = dice_tf.objectives.SurrogateObjective(
        grid, [policy] * 2, 0.9, 8, "critic", [critic] * 2, tau=0.9
    )
    learner = dice_tf.learners.AdvantageAlignment(past="averaged")
    params = objective.initial_params()
    for direction in learner.gradient(objective, params, 0, (0, 1)):
        assert np.all(np.isfinite(direction))
    dice_tf.export.export_policy(policy, tmp_path / "policy")
    policy.save(tmp_path / "policy.keras")
    loaded = keras.saving.load_model(tmp_path / "policy.keras")
    shape = grid.observation_shapes[0]
    cells = np.eye(9, dtype="float32").reshape(9, 1, 3, 3)
    inputs = [cells.repeat(shape[0], axis=1)]
    inputs += [np.full([9, *x.shape[1:]], 0.3) for x in policy.inputs[1:]]
    inputs = inputs if len(inputs) > 1 else inputs[0]
    tf.nest.map_structure(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5),
        policy(inputs),
        loaded(inputs),
    )


def steps_apart(place, other):
    apart = np.abs(np.subtract(place, other)) % SIZE
    return np.minimum(apart, SIZE - apart).sum()


def best_actions(observation, leaves_foreign):
    """Says in words which steps a bot takes."""
    (player,) = np.argwhere(observation[0])
    is_own = observation[2].any()
    (coin,) = np.argwhere(observation[2 if is_own else 3])
    distances = [
        steps_apart((player + np.array(step)) % SIZE, coin) for step in STEPS
    ]
    goes_away = leaves_foreign and not is_own
    best = max(distances) if goes_away else min(distances)
    return [distance == best for distance in distances]


@pytest.mark.parametrize("name", BOTS)
@pytest.mark.parametrize("with_memory", [False, True])
def test_bots_take_shortest_paths(name, with_memory, game, observations):
    if not with_memory:
        observations = game.grid_of(observations).numpy()
        game = game.grid_game
    policy = bot(game, 1, name)
    assert not policy.trainable_variables
    found = tf.nn.softmax(policy(observations)).numpy()
    leaves_foreign = name == "always_cooperate"
    expected = np.array(
        [best_actions(x, leaves_foreign) for x in observations], float
    )
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_bots_earn_what_others_have_measured():
    """Of the same two bots in the same game, with 32 episodes of 50 steps."""
    game = dice_tf.games.CoinGame(50)
    expected = {
        ("always_cooperate", "always_cooperate"): (0.347, 0.348),
        ("always_defect", "always_cooperate"): (0.631, -0.269),
        ("always_defect", "always_defect"): (0.0, 0.0),
    }
    for names, rewards in expected.items():
        policies = [bot(game, i, name) for i, name in enumerate(names)]
        objective = dice_tf.objectives.DiCEObjective(
            game, policies, 0.96, 2048, None
        )
        measured = measurement(objective)([[], []], (0, 1))
        np.testing.assert_allclose(measured.rewards, rewards, atol=0.015)
