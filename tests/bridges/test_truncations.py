"""Episodes that are cut off, and those that end: what critics make of it."""

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf import bridges, objectives
from dice_tf.bridges import PythonGame, VectorStep
from dice_tf.objectives.critic_seats import bootstrapped_rewards
from dice_tf.play.trajectories import Trajectory
from tests.bridges.environments import Counting, Cut
from tests.bridges.test_zoo_episode import Scripted, play, variant

SEED = tf.constant([7, 8])
DISCOUNT = 0.8
LENGTH = 5
# Values that critics give to an observation `o`: `weights . o + bias`.
CRITICS = (([0.7, -0.2], 1.5), ([-0.4, 1.1], -2.0))


def value(player_id, observation):
    weights, bias = CRITICS[player_id]
    return np.dot(weights, observation) + bias


def see(self, agent):
    return np.array([self.time, 3.0 if agent == "a" else -1.0])


def earn(self, step):
    first, second = (self.received[-1][agent] for agent in "ab")
    return {"a": 2.0 * first - second + step, "b": 0.5 * first * second - 1.0}


def cut_off(**attributes):
    """Episodes of three steps, in which what is earned follows actions."""
    return variant(observe=see, rewards=earn, **attributes)


TRUNCATED = {"truncated": {"a": 2, "b": 2}}
TERMINATED = {"terminated": {"a": 2, "b": 2}}


def earn_what_is_expected(self, step):
    rewards = earn(self, step)
    if step == 2:
        for player_id, agent in enumerate("ab"):
            seen = see(self, agent)
            rewards[agent] += DISCOUNT * value(player_id, seen)
    return rewards


def objective_of(make, kind, baseline="critic", length=LENGTH, **arguments):
    game = bridges.from_pettingzoo(make, length, dtype="float64")
    policies, critics = [], []
    rng = np.random.default_rng(3)
    for player_id, (weights, bias) in enumerate(CRITICS):
        policy = dice_tf.policies.mlp(game, player_id, hidden_units=[])
        policy.set_weights(
            [rng.normal(size=x.shape) for x in policy.get_weights()]
        )
        policies.append(policy)
        critic = dice_tf.critics.mlp_critic(game, player_id, hidden_units=[])
        critic.set_weights([np.reshape(weights, [2, 1]), np.array([bias])])
        critics.append(critic)
    critics = critics if baseline == "critic" else None
    return kind(game, policies, DISCOUNT, 4, baseline, critics, **arguments)


def values_and_derivatives(objective):
    """Returns values, gradients, and the second derivatives of player 0."""
    params = [list(x.trainable_variables) for x in objective.policies]
    params = [
        [tf.convert_to_tensor(x) for x in player_params]
        for player_params in params
    ]
    flat = tf.nest.flatten(params)
    with tf.GradientTape() as outer:
        outer.watch(flat)
        with tf.GradientTape(persistent=True) as inner:
            inner.watch(flat)
            values = objective(params, SEED)
        gradients = [inner.gradient(x, flat) for x in values]
        product = tf.add_n(
            [tf.reduce_sum(tf.sin(1.0 + x) * x) for x in gradients[0]]
        )
    return [*values, *gradients, outer.gradient(product, flat)]


def assert_close(first, second, **tolerances):
    for x, y in zip(
        tf.nest.flatten(first), tf.nest.flatten(second), strict=True
    ):
        np.testing.assert_allclose(x, y, rtol=1e-9, **tolerances)


KINDS = (
    objectives.DiCEObjective,
    objectives.SurrogateObjective,
    objectives.FirstOrderBaselineObjective,
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_episode_is_worth_what_the_critic_expects_to_follow(kind):
    make = cut_off(**TRUNCATED)
    objective = objective_of(make, kind)
    params = [x.trainable_variables for x in objective.policies]
    values = objective(params, SEED)
    played = objective.play(params, SEED)
    rewards = [x.numpy()[:3] for x in played.trajectory.rewards]
    powers = DISCOUNT ** np.arange(3)
    for player_id, agent in enumerate("ab"):
        seen = [3.0, 3.0 if agent == "a" else -1.0]
        plain = np.mean(powers @ rewards[player_id])
        expected = plain + DISCOUNT**3 * value(player_id, seen)
        np.testing.assert_allclose(values[player_id], expected, rtol=1e-12)
        # What is reported was earned.
        np.testing.assert_allclose(played.values[player_id], plain, rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        *((kind, {}) for kind in KINDS),
        (objectives.DiCEObjective, {"lambda_": 0.7, "tau": 0.5}),
        (objectives.SurrogateObjective, {"tau": 0.5}),
        (objectives.DiCEObjective, {"num_groups": 2}),
    ],
)
def test_it_has_the_derivatives_of_one_that_pays_that_at_its_end(
    kind, arguments
):
    truncated, paid, ended = (
        values_and_derivatives(objective_of(make, kind, **arguments))
        for make in (
            cut_off(**TRUNCATED),
            variant(observe=see, rewards=earn_what_is_expected, **TERMINATED),
            cut_off(**TERMINATED),
        )
    )
    assert_close(truncated, paid, atol=1e-12)
    for index in range(2):
        assert np.abs(truncated[index] - ended[index]) > 0.1


@pytest.mark.parametrize("td_lambda", [1.0, 0.6, 0.0])
def test_critics_learn_from_what_they_expect_beyond_the_cut(td_lambda):
    losses, gradients = [], []
    for make in (
        cut_off(**TRUNCATED),
        variant(observe=see, rewards=earn_what_is_expected, **TERMINATED),
        cut_off(**TERMINATED),
    ):
        objective = objective_of(
            make, objectives.DiCEObjective, critic_td_lambda=td_lambda
        )
        params = [x.trainable_variables for x in objective.policies]
        played = objective.play(params, SEED)
        state = objective.initial_state()
        critic_params = [x.params for x in state.critics]
        flat = tf.nest.flatten(critic_params)
        with tf.GradientTape() as tape:
            tape.watch(flat)
            loss = objective.critic_losses(critic_params, played)
        losses.append(loss)
        gradients.append(tape.gradient(loss, flat))
    assert_close(losses[0], losses[1])
    assert_close(gradients[0], gradients[1], atol=1e-12)
    assert np.all(np.abs(np.subtract(losses[0], losses[2])) > 0.01)


@pytest.mark.parametrize("baseline", [None, "leave_one_out"])
def test_without_critics_a_truncated_episode_counts_as_ended(baseline):
    truncated, ended = (
        values_and_derivatives(
            objective_of(make, objectives.DiCEObjective, baseline)
        )
        for make in (cut_off(**TRUNCATED), cut_off(**TERMINATED))
    )
    assert_close(truncated, ended)


def test_the_length_of_the_game_ends_an_episode():
    for length in (2, 3):
        truncated, ended = (
            values_and_derivatives(
                objective_of(make, objectives.DiCEObjective, length=length)
            )
            for make in (cut_off(**TRUNCATED), cut_off(**TERMINATED))
        )
        assert_close(truncated, ended)


def test_rewards_grow_at_the_cut_alone():
    rng = np.random.default_rng(4)
    rewards, values = rng.normal(size=[2, 4, 3])
    truncations = np.zeros([4, 3])
    truncations[1, 0] = truncations[3, 2] = 1.0
    expected = rewards.copy()
    expected[1, 0] += 0.9 * values[2, 0]
    # Behind another end.
    values[3, 1] = np.nan
    trajectory = Trajectory(
        ((),), ((),), (rewards,), np.ones([4, 3]), None, (truncations,)
    )
    with tf.GradientTape() as tape:
        variable = tf.Variable(values)
        found = bootstrapped_rewards(trajectory, variable, 0.9, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert tape.gradient(found, variable) is None
    plain = trajectory._replace(truncations=())
    assert bootstrapped_rewards(plain, variable, 0.9, 0) is rewards


def truncations_of(steps):
    return np.array([[float(x[0]) for x in y.truncations] for y in steps])


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (TRUNCATED, [1, 1]),
        (TERMINATED, [0, 0]),
        ({**TRUNCATED, **TERMINATED}, [0, 0]),
        ({"truncated": {"a": 2}, "terminated": {"b": 2}}, [1, 0]),
        # Who was cut off before the others did not go on, either.
        ({"truncated": {"a": 1, "b": 2}}, [0, 1]),
    ],
)
def test_each_player_is_told_whether_it_was_cut_off(flags, expected):
    steps, _ = play(variant(**flags))
    np.testing.assert_array_equal(
        truncations_of(steps), [[0, 0], [0, 0], expected, [0, 0]]
    )


def test_nothing_is_cut_off_where_the_last_observation_is_missing():
    def observations(self):
        return {} if self.time == 3 else Scripted.observations(self)

    steps, _ = play(variant(observations=observations, **TRUNCATED))
    assert not np.any(truncations_of(steps))
    np.testing.assert_array_equal(steps[3].observations[0], [[0, 0]])


def test_what_was_cut_off_must_be_finite():
    def observe(self, agent):
        return [0.0, np.nan] if self.time == 3 else [0.0, 0.0]

    with pytest.raises(ValueError, match=r"\['a'\]` at step 2 must be finite"):
        play(variant(observe=observe, **TRUNCATED))
    play(variant(observe=observe, **TERMINATED))


@pytest.mark.parametrize("flags", [TRUNCATED, TERMINATED])
def test_environments_of_games_tell_them_apart_too(flags):
    game = bridges.from_pettingzoo(variant(**flags), LENGTH)
    environment = bridges.to_pettingzoo(game)
    environment.reset(seed=1)
    for t in range(3):
        _, _, terminated, truncated, _ = environment.step(
            {"player_0": 0, "player_1": 1}
        )
        is_last = t == 2
        assert all(terminated.values()) == (is_last and flags is TERMINATED)
        assert all(truncated.values()) == (is_last and flags is TRUNCATED)
    assert environment.agents == []
    again = bridges.from_pettingzoo(lambda: bridges.to_pettingzoo(game), LENGTH)
    state, _ = again.reset(SEED, 1)
    zeros = tf.zeros([1], tf.int32)
    for _ in range(3):
        state, after = again.step(state, (zeros, zeros), SEED)
    expected = [flags is TRUNCATED] * 2
    np.testing.assert_array_equal(truncations_of([after])[0], expected)


def test_an_environment_of_a_long_game_is_truncated_at_its_length():
    environment = bridges.to_pettingzoo(PythonGame(Cut, 1))
    environment.reset(seed=1)
    *_, terminated, truncated, _ = environment.step(
        {"player_0": 1, "player_1": 1}
    )
    assert not any(terminated.values()) and all(truncated.values())
    assert environment.agents == []


@pytest.mark.parametrize("num_workers", [0, 2])
def test_vectorised_environments_say_it_too(num_workers):
    game = PythonGame(Cut, 4, num_workers=num_workers)
    try:
        state, first = game.reset(SEED, 3)
        assert not np.any(first.truncations)
        found = []
        for first in ([1, 1, 2], [0, 2, 0], [2, 2, 2]):
            actions = tf.constant(first), tf.constant([0, 0, 1])
            state, after = game.step(state, actions, SEED)
            found.append(after.truncations)
        # An episode ends with action 2 of the first player, and is cut off
        # for the second one where that plays 0.
        np.testing.assert_array_equal(
            found,
            [
                [[0, 0, 0], [0, 0, 0]],
                [[0, 0, 0], [0, 1, 0]],
                [[0, 0, 0], [1, 0, 0]],
            ],
        )
    finally:
        game.close()


@pytest.mark.parametrize(
    ("truncations", "error", "message"),
    [
        ((np.zeros(2),), ValueError, "`truncations` must have one entry for"),
        (
            (np.zeros(2), np.zeros(3)),
            ValueError,
            r"`truncations\[1\]` at step 0 must have shape \(2,\)",
        ),
        (
            (np.zeros(2), np.full(2, 0.5)),
            ValueError,
            r"`truncations\[1\]` at step 0 must be True or False in every",
        ),
    ],
)
def test_truncations_of_another_form_are_refused(truncations, error, message):
    class Wrong(Counting):
        def step(self, actions):
            after = VectorStep(*super().step(actions)[:3])
            return after._replace(truncations=truncations)

    game = PythonGame(Wrong, 3)
    state, _ = game.reset(SEED, 2)
    zeros = tf.zeros([2], tf.int32)
    with pytest.raises(error, match=message):
        game.step(state, (zeros, zeros), SEED)


def test_a_game_that_cuts_episodes_off_trains_with_critics():
    game = bridges.from_pettingzoo(cut_off(**TRUNCATED), LENGTH)
    policies = [
        dice_tf.policies.mlp(game, i, hidden_units=[]) for i in range(2)
    ]
    critics = [dice_tf.critics.gru_critic(game, i, units=2) for i in range(2)]
    objective = objectives.DiCEObjective(
        game, policies, DISCOUNT, 2, "critic", critics
    )
    trainer = dice_tf.Trainer(
        objective, [dice_tf.learners.LOLADiCE(1, 0.1), dice_tf.learners.Naive()]
    )
    trainer.compile("sgd", critic_optimizer="sgd")
    before = [policy.trainable_variables[0].numpy() for policy in policies]
    trainer.fit(epochs=1, steps_per_epoch=2, verbose=0)
    assert np.all(np.isfinite(trainer.curves))
    for old, policy in zip(before, policies, strict=True):
        assert not np.array_equal(old, policy.trainable_variables[0])
