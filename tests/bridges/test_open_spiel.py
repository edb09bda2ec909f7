"""Games of OpenSpiel: matrix games exactly, others played."""

import types

import numpy as np
import pyspiel
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.bridges import from_open_spiel

SEED = tf.constant([1, 2])


def test_matrix_games_become_iterated_ones_exactly():
    game = from_open_spiel("matrix_pd", 20)
    assert isinstance(game, dice_tf.games.FiniteGame)
    assert game.episode_length == 20 and game.is_compilable
    ours = dice_tf.games.iterated_matrix_game(
        [[[5, 0], [10, 1]], [[5, 10], [0, 1]]], 20
    )
    np.testing.assert_array_equal(game.rewards, ours.rewards)
    np.testing.assert_array_equal(game.transitions, ours.transitions)
    assert from_open_spiel("matrix_pd").episode_length == 150


def test_players_may_be_more_and_actions_differ():
    game = from_open_spiel("matching_pennies_3p")
    assert game.num_players == 3 and game.num_actions == (2, 2, 2)
    uneven = pyspiel.create_matrix_game(
        [[1, 2, 3], [4, 5, 6]], [[6, 5, 4], [3, 2, 1]]
    )
    game = from_open_spiel(uneven, 4)
    assert game.num_actions == (2, 3)
    np.testing.assert_array_equal(game.rewards[0, 0], [[1, 2, 3], [4, 5, 6]])


def test_repeated_games_have_their_number_of_rounds():
    game = from_open_spiel(
        "repeated_game(stage_game=matrix_mp(),num_repetitions=7)"
    )
    assert isinstance(game, dice_tf.games.FiniteGame)
    assert game.episode_length == 7
    np.testing.assert_array_equal(game.rewards[0, 0], [[1, -1], [-1, 1]])


def test_other_games_are_those_of_open_spiel():
    """Goofspiel: the higher bid takes the prize, which chance reveals."""
    game = from_open_spiel("goofspiel(num_cards=4,points_order=random)")
    assert game.num_actions == (4, 4) and game.episode_length == 4
    batch_size = 6
    state, step = game.reset(SEED, batch_size)
    assert len(np.unique(step.observations[0], axis=0)) > 1
    total = np.zeros(batch_size)
    for t in range(4):
        # Nothing is seen once all cards are gone.
        seen = step.observations[0].numpy().any(axis=1)
        np.testing.assert_array_equal(seen, t < 3)
        # The first always bids its highest card: the others are not legal
        # any more, so that the same action is another card.
        actions = tuple(tf.fill([batch_size], action) for action in (3 - t, t))
        state, step = game.step(state, actions, SEED)
        total += step.rewards[0].numpy()
        np.testing.assert_array_equal(step.rewards[0], -step.rewards[1])
        # The last card is played by itself, and then the game is over.
        np.testing.assert_array_equal(step.discounts, float(t < 2))
    assert set(total) <= {-1.0, 0.0, 1.0} and np.any(total)


def test_illegal_actions_count_as_legal_ones():
    game = from_open_spiel("goofspiel(num_cards=3,points_order=descending)")
    zeros = tf.zeros([1], tf.int32)
    state, _ = game.reset(SEED, 1)
    state, _ = game.step(state, (zeros, zeros + 1), SEED)
    # Card 0 is gone; of the cards 1 and 2 it stands for the first.
    _, after = game.step(state, (zeros, zeros), SEED)
    played, _ = game.reset(SEED, 1)
    played, _ = game.step(played, (zeros, zeros + 1), SEED)
    _, expected = game.step(played, (zeros + 1, zeros), SEED)
    np.testing.assert_array_equal(after.rewards, expected.rewards)


def test_a_game_of_open_spiel_trains_in_the_trainer():
    game = from_open_spiel("goofspiel(num_cards=3)")
    policies = [
        dice_tf.policies.mlp(game, i, hidden_units=[3]) for i in range(2)
    ]
    objective = dice_tf.objectives.DiCEObjective(game, policies, 1.0, 8, None)
    trainer = dice_tf.Trainer(objective, [dice_tf.learners.Naive()] * 2)
    trainer.compile("sgd")
    before = [policy.trainable_variables[0].numpy() for policy in policies]
    trainer.fit(epochs=1, steps_per_epoch=2, verbose=0)
    assert np.all(np.isfinite(trainer.curves))
    for table, policy in zip(before, policies, strict=True):
        assert not np.array_equal(table, policy.trainable_variables[0])


def test_games_of_turns_are_refused():
    with pytest.raises(ValueError, match="'tic_tac_toe' move one after the"):
        from_open_spiel("tic_tac_toe")


def test_games_without_tensors_are_refused():
    kind = types.SimpleNamespace(
        short_name="blind",
        dynamics=pyspiel.GameType.Dynamics.SIMULTANEOUS,
        information=pyspiel.GameType.Information.PERFECT_INFORMATION,
        provides_observation_tensor=False,
        provides_information_state_tensor=False,
    )
    game = types.SimpleNamespace(
        get_type=lambda: kind, max_game_length=lambda: 3
    )
    with pytest.raises(ValueError, match="Those of 'blind' do not"):
        from_open_spiel(game)


STAGE = [[[1.0, 2.0, -3.0], [4.5, 5.0, 6.0]], [[6.0, 5.0, 4.0], [3.0, 2.5, 1]]]


def test_repeated_games_may_be_made_of_game_objects():
    stage = pyspiel.create_matrix_game(*STAGE)
    repeated = pyspiel.create_repeated_game(stage, {"num_repetitions": 7})
    game = from_open_spiel(repeated)
    assert isinstance(game, dice_tf.games.FiniteGame)
    assert game.episode_length == 7 and game.num_actions == (2, 3)
    ours = dice_tf.games.iterated_matrix_game(STAGE, 7)
    np.testing.assert_array_equal(game.rewards, ours.rewards)
    np.testing.assert_array_equal(game.transitions, ours.transitions)
    assert from_open_spiel(repeated, 3).episode_length == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: "repeated_game(stage_game=matrix_sh(),num_repetitions=5)",
        lambda: pyspiel.load_game(
            "repeated_game(stage_game=matrix_sh(),num_repetitions=5)"
        ),
        lambda: pyspiel.create_repeated_game(
            "matrix_sh", {"num_repetitions": 5}
        ),
        lambda: pyspiel.create_repeated_game(
            pyspiel.load_game("matrix_sh"), {"num_repetitions": 5}
        ),
        lambda: pyspiel.create_repeated_game(
            pyspiel.load_game("matrix_sh"),
            {"num_repetitions": 5, "enable_infostate": True},
        ),
    ],
)
def test_repeated_games_of_every_origin_are_the_same(make):
    game = from_open_spiel(make())
    np.testing.assert_array_equal(
        game.rewards, from_open_spiel("matrix_sh").rewards
    )
    assert game.episode_length == 5


def test_repeated_games_of_three_players_are_understood():
    repeated = pyspiel.create_repeated_game(
        "matching_pennies_3p", {"num_repetitions": 4}
    )
    np.testing.assert_array_equal(
        from_open_spiel(repeated).rewards,
        from_open_spiel("matching_pennies_3p").rewards,
    )


def test_a_longer_memory_than_one_round_is_refused():
    text = "repeated_game(stage_game=matrix_pd(),num_repetitions=5,recall=2)"
    with pytest.raises(ValueError, match="must have recall=1.*Received: reca"):
        from_open_spiel(text)


@pytest.mark.parametrize(
    "text", ["matrix_pd", "goofspiel(num_cards=3)", "matching_pennies_3p"]
)
def test_a_length_of_zero_is_refused(text):
    with pytest.raises(ValueError, match="`episode_length` must be at least 1"):
        from_open_spiel(text, 0)


def simultaneous_games():
    return [
        kind.short_name
        for kind in pyspiel.registered_games()
        if kind.dynamics == pyspiel.GameType.Dynamics.SIMULTANEOUS
        and kind.default_loadable
        and not kind.short_name.startswith("python_")
    ]


@pytest.mark.parametrize("name", simultaneous_games())
def test_every_simultaneous_game_is_played_or_refused(name):
    if name == "blotto":
        with pytest.raises(
            ValueError, match="512 joint.*4356 of 'blotto'.*0.4 GiB"
        ):
            from_open_spiel(name)
        name = "blotto(coins=4)"
    game = from_open_spiel(name)
    state, _ = game.reset(SEED, 2)
    for action in range(3):
        actions = tuple(
            tf.constant([0, min(action, size - 1)]) for size in game.num_actions
        )
        state, after = game.step(state, actions, SEED)
    assert len(after.rewards) == game.num_players
    assert np.all(np.isfinite(after.rewards))


@pytest.mark.parametrize(
    ("game", "error", "message"),
    [
        ("nonsense", ValueError, "OpenSpiel says: Unknown game 'nonsense'"),
        ("nfg_game", ValueError, "Received: 'nfg_game'. OpenSpiel says: map"),
        ("mfg_garnet", ValueError, "dynamics of 'mfg_garnet' are MEAN_FIELD"),
        (3, TypeError, "`game` must be a pyspiel.Game or a string that names"),
    ],
)
def test_what_cannot_be_played_is_refused(game, error, message):
    with pytest.raises(error, match=message):
        from_open_spiel(game)


def test_games_that_other_processes_cannot_load_are_refused(monkeypatch):
    game = pyspiel.load_game("goofspiel(num_cards=3)")
    monkeypatch.setattr("pickle.dumps", lambda game: b"nothing")
    with pytest.raises(ValueError, match="do not make 'goofspiel.*num_workers"):
        from_open_spiel(game, num_workers=1)
