"""The zoo: each policy plays as its card says, and is one like any other."""

import importlib
import importlib.resources
import inspect
import re
import shlex

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf import zoo
from dice_tf.policies.coin_memory import CoinMemory
from dice_tf.zoo import loading
from experiments.coins.networks import build_network
from experiments.zoo.recipes import RECIPES

NAMES = zoo.names()
MOST_BYTES = 2**20
# As many as the intervals of cards are for.
NUM_EPISODES = 1024
NETWORK, TABLE = "coin_game/advantage_alignment", "coin_game/lola_dice"


def all_seats(name):
    return [zoo.load(name, i) for i in range(zoo.game(name).num_players)]


def test_the_files_are_those_of_the_names_and_small():
    folder = importlib.resources.files("dice_tf.zoo") / "data"
    paths = [path for path in folder.rglob("*") if path.is_file()]
    found = [path.relative_to(folder).as_posix() for path in paths]
    expected = [f"{name}.{kind}" for name in NAMES for kind in ("json", "npz")]
    assert sorted(found) == sorted(expected)
    assert sum(path.stat().st_size for path in paths) < MOST_BYTES
    assert {name.split("/")[0] for name in NAMES} == {
        "coin_game",
        "ipd",
        "matching_pennies",
        "public_goods",
        "stag_hunt",
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_figures_of_cards_are_found_again(name):
    game, policies = zoo.game(name), all_seats(name)
    cards = [zoo.card(name, i) for i in range(len(policies))]
    (discount,) = {card.discount for card in cards}
    played = dice_tf.evaluation.play_match(
        game,
        policies,
        discount=discount,
        batch_size=NUM_EPISODES,
        seed=(3, 2026),
    )
    for player_id, card in enumerate(cards):
        low, high = card.return_interval
        assert low <= played.mean[player_id] <= high
        assert low <= card.mean_return <= high
        # An interval that nothing misses says nothing.
        error = played.standard_error[player_id]
        assert high - low <= 10.0 * error + 2e-4
    if isinstance(game, dice_tf.games.FiniteGame):
        exact = dice_tf.evaluation.exact_match(
            game, policies, discount=discount
        )
        means = [card.mean_return for card in cards]
        # They are means of 64 times as many episodes.
        reach = 5.0 * played.standard_error / 8.0 + 2e-5
        assert np.all(np.abs(exact.mean - means) <= reach)


@pytest.mark.parametrize("name", NAMES)
def test_an_export_holds_the_card(name, tmp_path):
    player_id = 1
    policy, card = zoo.load(name, player_id), zoo.card(name, player_id)
    dice_tf.export.export_policy(policy, tmp_path / "policy", card=card)
    read = dice_tf.export.read_card(tmp_path / "policy")
    assert read["player_id"] == player_id
    assert read["return"] == {
        "mean": card.mean_return,
        "interval": list(card.return_interval),
        "discount": card.discount,
    }
    assert read["licence"] == "Apache-2.0"
    assert read["weights_sha256"] in read["notes"]
    assert f"make_zoo --policies={name}`" in read["notes"]
    assert re.search(
        r"1, seed 0\. Versions: dice_tf \d.*, keras", read["notes"]
    )
    weights = [f"{x.name} {x.dtype} {list(x.shape)}" for x in policy.weights]
    assert f"Weights, in order: {', '.join(weights)}. SHA" in read["notes"]
    assert len(read["actions"]["entries"]) == read["actions"]["num_actions"]
    entries = read["observations"]["entries"]
    assert len(entries) == len(set(entries)) == np.prod(policy.input_shape[1:])
    assert not any(entry.startswith("state ") for entry in entries)
    shape = [3, *policy.input_shape[1:]]
    seen = np.random.default_rng(0).random(shape).astype("float32")
    loaded = tf.saved_model.load(tmp_path / "policy")
    found = loaded.signatures["probabilities"](observation=tf.constant(seen))
    logits = policy(seen)
    if logits.shape[1] == 1:
        logits = tf.concat([logits, tf.zeros_like(logits)], axis=1)
    np.testing.assert_allclose(
        found["probabilities"], tf.nn.softmax(logits), atol=1e-6
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_of_the_recipes(name):
    recipe, card = RECIPES[name], zoo.card(name)
    command = f"experiments.{recipe.experiment} {shlex.join(recipe.arguments)}"
    assert f"`python -m {command}`" in card.notes
    assert card.learner == recipe.learner
    assert card.discount == recipe.discount
    assert recipe.least <= card.mean_return <= recipe.most


def test_policies_are_a_start_for_more_training():
    name = "ipd/lola_dice"
    game, policies = zoo.game(name), all_seats(name)
    objective = dice_tf.objectives.ExactObjective(game, policies)
    trainer = dice_tf.Trainer(
        objective, [dice_tf.learners.Naive(), None], seed=3
    )
    trainer.compile(keras.optimizers.SGD(0.5), jit_compile=False)
    trainer.fit(epochs=1, steps_per_epoch=3, verbose=0)
    expected = dice_tf.evaluation.exact_match(game, all_seats(name))
    np.testing.assert_allclose(trainer.curves[0, 0], expected.mean, rtol=1e-5)
    assert trainer.curves[-1, 0, 0] > trainer.curves[0, 0, 0]
    # Each call has made a policy of its own.
    trained, fresh = policies[0].get_weights(), zoo.load(name).get_weights()
    assert np.abs(np.subtract(trained, fresh)).max() > 1e-4


def test_a_game_is_made_once():
    game = zoo.game("stag_hunt/lola_dice")
    assert zoo.game("stag_hunt/lola_dice") is game
    assert zoo.card("stag_hunt/lola_dice", 1).game is game
    assert zoo.game("matching_pennies/lola_dice") is not game


def test_the_network_sits_in_both_seats():
    first, second = all_seats(NETWORK)
    for one, another in zip(
        first.get_weights(), second.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, another)


def test_the_table_plays_on_the_grid():
    game = dice_tf.games.CoinGame(zoo.game(TABLE).episode_length)
    policies = [
        dice_tf.policies.on_the_grid(game, policy, i)
        for i, policy in enumerate(all_seats(TABLE))
    ]
    played = dice_tf.evaluation.play_match(
        game, policies, discount=1.0, batch_size=NUM_EPISODES, seed=(8, 9)
    )
    for player_id in range(2):
        low, high = zoo.card(TABLE, player_id).return_interval
        assert low <= played.mean[player_id] <= high


def test_the_network_is_that_of_the_experiment():
    game, policy = zoo.game(NETWORK), zoo.load(NETWORK)
    trained = build_network(game, "mlp", 64, 4)
    trained.set_weights(policy.get_weights())
    _, step = game.reset((0, 1), 20)
    seen = step.observations[0]
    np.testing.assert_array_equal(policy(seen), trained(seen))


def plays(num_steps=12, batch_size=25):
    """Plays the Coin Game at random; yields states, and what players see."""
    game = zoo.game(NETWORK)
    state, step = game.reset((4, 5), batch_size)
    generator = np.random.default_rng(6)
    for number in range(num_steps):
        yield state, step.observations
        actions = generator.integers(4, size=[2, batch_size])
        actions = tuple(tf.constant(row, tf.int32) for row in actions)
        state, step = game.step(state, actions, (number, 7))


def test_entries_of_the_grid_are_what_players_see():
    entries = np.array(zoo.card(NETWORK).observations)
    num_memories = 0
    for state, observations in plays():
        for player_id, seen in enumerate(observations):
            places = {
                "player itself": state.grid.players[player_id],
                "other player": state.grid.players[1 - player_id],
                "own coin": state.grid.coins[player_id],
                "coin of the other": state.grid.coins[1 - player_id],
            }
            took = state.took_foreign
            memories = {
                "player itself last took a coin of the other": took[player_id],
                "other player last took a coin of this player": took[
                    1 - player_id
                ],
            }
            for row, observation in enumerate(seen.numpy()):
                expected = {
                    f"{what}, row {cell[row] // 3}, column {cell[row] % 3}"
                    for what, cell in places.items()
                    if cell[row] >= 0
                }
                for what, bits in memories.items():
                    if bits[row]:
                        num_memories += 1
                        expected |= {
                            f"{what}, row {i}, column {j}"
                            for i in range(3)
                            for j in range(3)
                        }
                assert {*entries[observation.ravel() > 0.5]} == expected
    assert num_memories > 50


def test_entries_of_the_table_are_what_players_see():
    entries = zoo.card(TABLE).observations
    by_memory = CoinMemory(3)
    # Of each player, what the layer remembers.
    memories = [np.zeros([25, 4], "float32")] * 2
    answers = set()
    for state, observations in plays():
        for player_id, seen in enumerate(observations):
            view, memories[player_id] = by_memory(
                seen[:, :4], memories[player_id]
            )
            me, other = (
                divmod(state.grid.players[i].numpy(), 3)
                for i in (player_id, 1 - player_id)
            )
            coins = [state.grid.coins[i].numpy() for i in range(2)]
            took = [state.took_foreign[i].numpy() for i in range(2)]
            for row, number in enumerate(np.argmax(view, axis=1)):
                is_own = coins[player_id][row] >= 0
                coin = divmod(max(coins[0][row], coins[1][row]), 3)
                away = [
                    tuple(int(place[k] - me[k][row]) % 3 for k in range(2))
                    for place in ([x[row] for x in other], coin)
                ]
                words = [
                    "yes" if took[i][row] else "no"
                    for i in (player_id, 1 - player_id)
                ]
                answers |= {*words}
                assert entries[number] == (
                    f"other player at {away[0]}, "
                    f"{'own coin' if is_own else 'coin of the other'} at "
                    f"{away[1]}, rows and columns away; last took a coin of "
                    f"the other: {words[0]}; other player did: {words[1]}"
                )
    assert answers == {"yes", "no"}


@pytest.mark.parametrize("function", [zoo.card, zoo.game, zoo.load])
def test_unknown_names_are_refused_with_the_nearest(function):
    with pytest.raises(
        ValueError, match=r"`name` must be one of 'coin.*mean 'ipd/lola_dice'"
    ):
        function("ipd/lola-dice")
    with pytest.raises(ValueError, match="Did you mean 'stag_hunt/lola_dice'"):
        function("stag")
    with pytest.raises(TypeError, match="`name` must be a string. Received"):
        function(3)
    if "player_id" in inspect.signature(function).parameters:
        with pytest.raises(ValueError, match="`player_id` must be"):
            function("ipd/naive", 2)


def test_damaged_weights_are_refused(monkeypatch):
    read = loading._weights

    def damaged(name, player_id):
        first, *others = read(name, player_id)
        first[0, 0] = np.nextafter(first[0, 0], np.float32(9.0))
        return [first, *others]

    monkeypatch.setattr(loading, "_weights", damaged)
    with pytest.raises(ValueError, match="'ipd/naive' for player 1 are damag"):
        zoo.load("ipd/naive", 1)


def test_nothing_is_read_before_a_policy_is_asked_for(monkeypatch):
    def refuse(path):
        raise AssertionError(path)

    monkeypatch.setattr(loading, "_content", refuse)
    importlib.reload(importlib.import_module("dice_tf.zoo"))
    assert zoo.names() and zoo.game("ipd/naive").num_players == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ipd/lola_dice", "tit_for_tat"),
        ("ipd/lola_dice_mlp", "tit_for_tat"),
        ("ipd/naive", "always_defect"),
        ("matching_pennies/lola_dice", "random"),
    ],
)
def test_policies_have_learned_what_is_known_of_learners(name, expected):
    game, policies = zoo.game(name), all_seats(name)
    for player_id, policy in enumerate(policies):
        found = dice_tf.evaluation.name_policy(game, policy, player_id)
        assert found.nearest == expected
