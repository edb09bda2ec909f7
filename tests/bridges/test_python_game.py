"""Games that Python code plays: what they show, and training in them."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.bridges import PythonGame
from dice_tf.play.actors import Actor
from dice_tf.play.rollouts import sample_trajectory
from tests.bridges.environments import Counting, Fragile

SEED = tf.constant([3, 4])
LENGTH = 4


@pytest.fixture(scope="module")
def game():
    return PythonGame(Counting, LENGTH)


def players(game):
    """Returns actors that play uniformly, and their weights."""
    policies = [
        dice_tf.policies.mlp(game, i, hidden_units=[]) for i in range(2)
    ]
    actors = [Actor(game, policy, i) for i, policy in enumerate(policies)]
    weights = [actor.model.weights() for actor in actors]
    return actors, tf.nest.map_structure(tf.zeros_like, weights)


def play(game, seed=SEED, batch_size=5):
    return sample_trajectory(
        game, *players(game), batch_size=batch_size, seed=seed
    )


def assert_same(first, second):
    for x, y in zip(
        tf.nest.flatten(first), tf.nest.flatten(second), strict=True
    ):
        assert (x is None) == (y is None)
        if x is not None:
            np.testing.assert_array_equal(x, y)


def test_it_has_the_sizes_of_the_environment(game):
    assert game.num_players == 2
    assert game.num_actions == (3, 2)
    assert game.observation_shapes == ((2,), (1,))
    assert not game.is_compilable
    assert dice_tf.games.CoinGame().is_compilable


def test_a_trajectory_is_what_the_environment_showed(game):
    played = play(game)
    times = np.broadcast_to(np.arange(LENGTH)[:, np.newaxis], [LENGTH, 5])
    np.testing.assert_array_equal(played.observations[0][..., 0], times)
    np.testing.assert_array_equal(played.observations[1][..., 0], times)
    # Every episode has a seed of its own, and keeps it.
    numbers = played.observations[0].numpy()[..., 1]
    assert len(set(numbers[0])) > 1
    np.testing.assert_array_equal(numbers[0], numbers[-1])
    actions = played.actions[0].numpy()
    has_ended = np.cumsum(actions == 2, axis=0) > 0
    np.testing.assert_array_equal(played.discounts, 1.0 - has_ended)
    before = np.concatenate([np.zeros([1, 5]), has_ended[:-1]]).astype(bool)
    assert before.any() and not has_ended.all()
    np.testing.assert_array_equal(
        played.rewards[0], np.where(before, 0, actions)
    )
    np.testing.assert_array_equal(played.rewards[1], -played.rewards[0])


def test_play_follows_the_seed_eagerly_and_in_graphs(game):
    first = play(game)
    actors, weights = players(game)
    in_graph = tf.function(
        lambda seed: sample_trajectory(
            game, actors, weights, batch_size=5, seed=seed
        )
    )
    for _ in range(2):
        assert_same(in_graph(SEED), first)
    numbers = play(game, tf.constant([3, 5])).observations[0][0, :, 1]
    assert not np.array_equal(numbers, first.observations[0][0, :, 1])


def test_plays_at_the_same_time_do_not_disturb_each_other(game):
    state, _ = game.reset(SEED, 2)
    other, _ = game.reset(SEED, 3)
    ones = tuple(tf.ones([2], tf.int32) for _ in range(2))
    state, after = game.step(state, ones, SEED)
    _, first = game.step(other, tuple(tf.ones([3], tf.int32) for _ in ones), 0)
    state, second = game.step(state, ones, SEED)
    assert after.observations[1][0, 0] == first.observations[1][0, 0] == 1
    assert second.observations[1][0, 0] == 2


def test_environments_are_used_again():
    game = PythonGame(Counting, 2)
    for _ in range(3):
        play(game)
    assert len(game._environments) == 1


def test_worker_processes_play_the_same():
    game = PythonGame(Counting, LENGTH, num_workers=2)
    try:
        for batch_size in (5, 1):
            assert_same(
                play(game, batch_size=batch_size),
                play(PythonGame(Counting, LENGTH), batch_size=batch_size),
            )
    finally:
        game.close()


def test_what_fails_in_a_worker_is_said():
    game = PythonGame(Fragile, LENGTH, num_workers=1)
    try:
        with pytest.raises(Exception, match="ZeroDivisionError: it broke"):
            play(game)
    finally:
        game.close()


def test_policies_learn_in_it():
    game = PythonGame(Counting, 2)
    policies = [
        dice_tf.policies.mlp(game, i, hidden_units=[]) for i in range(2)
    ]
    objective = dice_tf.objectives.DiCEObjective(game, policies, 1.0, 100)
    trainer = dice_tf.Trainer(objective, [dice_tf.learners.Naive(), None])
    trainer.compile("adam")
    trainer.player_optimizers[0].learning_rate = 0.1
    trainer.fit(epochs=1, steps_per_epoch=40, verbose=0)
    # Best is action 1, and then, which ends the episode anyway, action 2.
    curve = trainer.curves[:, 0, 0]
    assert curve[-2:].mean() > max(curve[:2].mean() + 0.2, 1.2)


def test_xla_is_refused_where_python_plays(game):
    policies = [
        dice_tf.policies.mlp(game, i, hidden_units=[]) for i in range(2)
    ]
    objective = dice_tf.objectives.DiCEObjective(game, policies, 1.0, 3, None)
    trainer = dice_tf.Trainer(objective, [dice_tf.learners.Naive()] * 2)
    with pytest.raises(ValueError, match=r"\(PythonGame\), which XLA cannot"):
        trainer.compile("sgd", jit_compile=True)
    with pytest.raises(ValueError, match="`jit_compile` must be one of True"):
        trainer.compile("sgd", jit_compile="perhaps")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"episode_length": 0}, "`episode_length` must be at least 1"),
        (
            {"episode_length": 1, "num_workers": -1},
            "`num_workers` must be at least 0",
        ),
    ],
)
def test_arguments_out_of_their_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PythonGame(Counting, **arguments)


class Odd(Counting):
    """As `Counting`, but for what a test puts in."""

    num_actions = (3, None)

    def reset(self, seeds):
        self.actions = []
        return super().reset(seeds)

    def step(self, actions):
        self.actions.append(actions)
        return self.change(super().step(actions))

    def change(self, after):
        return after


def odd(change):
    return type("Changed", (Odd,), {"change": lambda self, x: change(self, x)})


def steps_of(make, num_steps=3, actions=None, dtype="float32", batch_size=2):
    """Plays; the first episode ends after the first step."""
    game = PythonGame(make, LENGTH, dtype=dtype)
    state, _ = game.reset(SEED, batch_size)
    steps = []
    for t in range(num_steps):
        chosen = actions or (
            tf.constant([2 if t == 0 else 1, 1]),
            tf.constant([0.5, 0.25], game.dtype),
        )
        state, after = game.step(state, chosen, SEED)
        steps.append(after)
    return game, steps


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        (
            "rewards",
            [1.0, np.nan],
            ValueError,
            "reward of player 1 at step 1 mu",
        ),
        ("rewards", [0.0, np.inf], ValueError, "Received in episode 1: inf"),
        ("rewards", [1.0, 1e39], ValueError, "must be finite in float32"),
        ("rewards", [1.0], ValueError, r"must have shape \(2,\). Received sh"),
        ("rewards", [[1.0, 2.0]], ValueError, r"must have shape \(2,\). Rece"),
        ("rewards", ["1", "2"], TypeError, "must consist of real numbers"),
        ("rewards", None, TypeError, "player 1 at step 1 must consist of real"),
        (
            "observations",
            [[0.0], [np.nan]],
            ValueError,
            "observation of player 1 at step 1 must be finite.*episode 1",
        ),
        (
            "observations",
            [[0.0, 1.0], [0.0, 1.0]],
            ValueError,
            r"must have shape \(2, 1\). Received shape \(2, 2\)",
        ),
        ("observations", [["x"], ["y"]], TypeError, "must consist of real"),
    ],
)
def test_what_does_not_fit_is_refused(name, value, error, message):
    def change(environment, after):
        if environment.time == 2:
            values = list(getattr(after, name))
            values[1] = value
            after = after._replace(**{name: tuple(values)})
        return after

    with pytest.raises(error, match=message):
        steps_of(odd(change))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"rewards": np.zeros([2, 2])},
            ValueError,
            "with one array of rewards",
        ),
        (
            {"rewards": (np.zeros(2),)},
            ValueError,
            "per player, 2. Received 1 a",
        ),
        (
            {"observations": {}},
            ValueError,
            "with one array of observations per player, 2. Received a dict at",
        ),
        (
            {"continues": True},
            ValueError,
            r"`continues` at step 0 must have shape \(2,\). Received",
        ),
        (
            {"continues": np.array([0.5, 1.0])},
            ValueError,
            "`continues` at step 0 must be True or False in every episode",
        ),
        (
            {"continues": [None, True]},
            TypeError,
            "must consist of real numbers",
        ),
    ],
)
def test_steps_of_another_form_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        steps_of(odd(lambda environment, after: after._replace(**changes)))


def test_first_observations_must_fit_too():
    class Wrong(Counting):
        def reset(self, seeds):
            first, second = super().reset(seeds)
            return first, np.full_like(second, np.nan, float)

    with pytest.raises(ValueError, match="player 1 after a reset must be fini"):
        PythonGame(Wrong, LENGTH).reset(SEED, 2)


@pytest.mark.parametrize("padding", [np.nan, np.inf, -7.0])
def test_what_lies_behind_the_end_of_an_episode_does_not_count(padding):
    def change(environment, after):
        # The first episode is over after the first step.
        rewards = [x.astype(np.float64) for x in after.rewards]
        observations = [x.astype(np.float64) for x in after.observations]
        if environment.time > 1:
            for x in rewards:
                x[0] = padding
        for x in observations:
            x[0] = padding
        return after._replace(
            rewards=tuple(rewards), observations=tuple(observations)
        )

    _, steps = steps_of(odd(change))
    rewards = np.array([step.rewards for step in steps])
    np.testing.assert_array_equal(rewards[:, 0], [[2, 1], [0, 1], [0, 1]])
    np.testing.assert_array_equal(rewards[:, 1], -rewards[:, 0])
    np.testing.assert_array_equal(
        [step.discounts for step in steps], [[0, 1], [0, 1], [0, 1]]
    )
    for step in steps:
        for observation in step.observations:
            assert np.all(np.isfinite(observation))


def test_rewards_and_flags_may_have_an_axis_of_one():
    def change(environment, after):
        return after._replace(
            rewards=tuple(x[:, np.newaxis] for x in after.rewards),
            continues=after.continues[:, np.newaxis].astype(np.int32),
        )

    for x, y in zip(
        *(steps_of(make)[1] for make in (Odd, odd(change))), strict=True
    ):
        assert_same(x, y)


def test_batches_of_10_to_the_9_are_refused(game):
    with pytest.raises(ValueError, match="`batch_size` must be at most 26843"):
        game.reset((0, 1), 10**9)


@pytest.mark.parametrize("action", [3, -1])
def test_actions_out_of_their_range_are_refused(action):
    actions = tf.constant([0, action]), tf.constant([0.5, 0.5])
    message = r"`actions\[0\]` must be whole numbers from 0 to 2. Received"
    with pytest.raises(ValueError, match=message):
        steps_of(Odd, actions=actions)
    with pytest.raises(ValueError, match=r"`actions\[0\]` must be whole"):
        steps_of(Odd, actions=(tf.constant([1.0, 1.7]), actions[1]))
    with pytest.raises(
        ValueError, match=r"`actions\[0\]` must have shape \(2,"
    ):
        steps_of(Odd, actions=(tf.constant([1]), actions[1]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_real_action_that_is_not_finite_makes_rewards_nan(value):
    actions = tf.constant([1, 1]), tf.constant([0.5, value])
    game, steps = steps_of(Odd, num_steps=2, actions=actions)
    for step in steps:
        for reward, sign in zip(step.rewards, (1, -1), strict=True):
            np.testing.assert_array_equal(reward, [sign, np.nan])
    (environment,) = game._environments
    np.testing.assert_array_equal(environment.actions[0][1], [0.5, 0.0])


def test_a_state_can_be_stepped_once(game):
    ones = tuple(tf.ones([2], tf.int32) for _ in range(2))
    first, _ = game.reset(SEED, 2)
    state, _ = game.step(first, ones, SEED)
    with pytest.raises(ValueError, match="The state of step 0 was stepped bef"):
        game.step(first, ones, SEED)
    with pytest.raises(ValueError, match="must be stepped with as many. Recei"):
        part = tf.nest.map_structure(lambda x: x[:1], state)
        game.step(part, tuple(x[:1] for x in ones), SEED)
    for _ in range(LENGTH - 1):
        state, _ = game.step(state, ones, SEED)
    with pytest.raises(ValueError, match="the 4 steps of its play are over"):
        game.step(state, ones, SEED)


def test_one_environment_for_all_plays_is_refused():
    environment = Counting()
    game = PythonGame(lambda: environment, LENGTH)
    game.reset(SEED, 2)
    with pytest.raises(ValueError, match="must make a new environment at each"):
        game.reset(SEED, 2)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            object,
            TypeError,
            "must make a dice_tf.bridges.VectorEnvironment. Re",
        ),
        (
            type("Short", (Counting,), {"observation_shapes": ((2,),)}),
            ValueError,
            "`observation_shapes` must have one entry for each of 2 players",
        ),
        (
            type("Short", (Counting,), {"action_shapes": ((),)}),
            ValueError,
            "`action_shapes` must have one entry for each of 2 players",
        ),
    ],
)
def test_what_is_no_vector_environment_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        PythonGame(make, LENGTH)


def test_real_actions_must_have_the_shape_that_is_told():
    class Told(Odd):
        action_shapes = ((), (1,))

    whole = tf.constant([1, 1])
    game, _ = steps_of(Told, actions=(whole, tf.constant([0.5, 0.25])))
    (environment,) = game._environments
    np.testing.assert_array_equal(environment.actions[0][1], [[0.5], [0.25]])
    with pytest.raises(ValueError, match=r"must have shape \(2, 1\). Received"):
        steps_of(Told, actions=(whole, tf.zeros([2, 3])))
