"""The sampled objective of LOLA-DiCE."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.objectives import DiCEObjective, ExactObjective, sampled
from tests import oracles
from tests.toys import (
    ASYMMETRIC,
    THREE_PLAYERS,
    EndsEarly,
    Plain,
    Pursuit,
    normal_policy,
    random_params,
    tabular_policies,
)

DISCOUNT, LENGTH = 0.9, 4


def critics_with_values(game, seed=0):
    critics = [
        dice_tf.critics.tabular_critic(game, player_id)
        for player_id in range(game.num_players)
    ]
    for critic, weights in zip(
        critics, random_params(critics, seed), strict=True
    ):
        critic.set_weights(weights)
    return critics


def game_of(payoffs):
    return dice_tf.games.iterated_matrix_game(payoffs, LENGTH, dtype="float64")


# --- Against the exact objective --------------------------------------------


class Setting:
    """A sampled objective of random policies, and the exact one beside it."""

    def __init__(self, payoffs, baseline, batch_size, wrap=lambda game: game):
        game = game_of(payoffs)
        policies = tabular_policies(game)
        critics = critics_with_values(game) if baseline == "critic" else None
        self.exact = ExactObjective(game, policies, DISCOUNT)
        self.sampled = DiCEObjective(
            wrap(game), policies, DISCOUNT, batch_size, baseline, critics
        )
        self.params = [
            tf.constant(player_params[0])
            for player_params in random_params(policies, 3)
        ]
        rng = np.random.default_rng(4)
        self.directions = [
            tf.constant(rng.normal(size=param.shape)) for param in self.params
        ]

    def derivatives(self, objective, seed):
        """Values, all gradients, and Hessian-vector products, in one row."""
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(self.params)
            with tf.GradientTape(persistent=True) as inner:
                inner.watch(self.params)
                values = objective([[param] for param in self.params], seed)
            gradients = [inner.gradient(v, self.params) for v in values]
        products = [
            outer.gradient(
                gradient, self.params, output_gradients=self.directions
            )
            for gradient in gradients
        ]
        rows = [values, *gradients, *products]
        return tf.concat(
            [tf.reshape(x, [-1]) for x in tf.nest.flatten(rows)], axis=0
        )


@pytest.mark.parametrize(
    "payoffs, baseline, wrap",
    [
        (ASYMMETRIC, "leave_one_out", None),
        (ASYMMETRIC, "critic", Plain),
        (THREE_PLAYERS, "state_values", None),
    ],
    ids=["2-leave_one_out", "2-critic-general", "3-state_values"],
)
def test_means_of_values_gradients_and_hessians_are_exact(
    payoffs, baseline, wrap
):
    """For each player, in the parameters of each player."""
    num_samples = 250
    setting = Setting(payoffs, baseline, 64, wrap or (lambda game: game))

    @tf.function
    def sample():
        seeds = tf.stack(
            [tf.fill([num_samples], 7), tf.range(num_samples)], axis=1
        )
        return tf.map_fn(
            functools.partial(setting.derivatives, setting.sampled),
            seeds,
            fn_output_signature=tf.float64,
        )

    samples = sample().numpy()
    exact = setting.derivatives(setting.exact, None).numpy()
    assert np.abs(exact).max() > 0.1
    errors = samples.std(axis=0, ddof=1) / np.sqrt(num_samples)
    deviations = np.abs(samples.mean(axis=0) - exact)
    # Among some hundred numbers: 4.5 standard errors.
    assert np.all(deviations <= 4.5 * errors + 1e-12)
    # The bound says something: the noise is well below what is estimated.
    assert np.median(errors) < 0.2 * np.abs(exact).max()


@pytest.mark.parametrize("baseline", [None, "leave_one_out", "critic"])
def test_the_value_is_the_mean_return_whatever_the_baseline(baseline):
    setting = Setting(ASYMMETRIC, baseline, 16)
    params = [[param] for param in setting.params]
    play = setting.sampled.play(params, [3, 4])
    values = setting.sampled(params, [3, 4])
    rewards = np.array(play.trajectory.rewards)
    weights = DISCOUNT ** np.arange(LENGTH)[:, np.newaxis]
    expected = np.mean(np.sum(weights * rewards, axis=1), axis=1)
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    np.testing.assert_allclose(play.values, expected, rtol=1e-12)


def test_an_episode_that_ends_early_earns_nothing_more():
    setting = Setting(ASYMMETRIC, "leave_one_out", 50, EndsEarly)
    params = [[param] for param in setting.params]
    play = setting.sampled.play(params, [3, 4])
    over = np.sum(play.trajectory.actions, axis=0) == 2
    expected = []
    for rewards in np.array(play.trajectory.rewards):
        total = 0.0
        for b in range(50):
            for t in range(LENGTH):
                total += DISCOUNT**t * rewards[t, b] / 50
                if over[t, b]:
                    break
        expected.append(total)
    assert over[:-1].any()
    for values in (play.values, setting.sampled(params, [3, 4])):
        np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_gradients_of_continuous_players_are_those_of_the_closed_form():
    """One step of `Pursuit`: -E (d + (a_0 - a_1) / 2)^2 at the distance d."""
    game, num_samples = Pursuit(episode_length=1), 300
    objective = DiCEObjective(
        game, [normal_policy(i) for i in range(2)], DISCOUNT, 32
    )
    params = [
        player_params.copy() for player_params in objective.initial_params()
    ]

    def both(seed):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(params)
            value = objective(params, seed)[0]
            seen = objective.play(params, seed).trajectory.observations[0][0]
            outputs = [
                actor.model(weights, observations)
                for actor, weights, observations in zip(
                    objective.actors,
                    objective.player_weights(params, objective.initial_state()),
                    (seen, tf.reverse(seen, [1])),
                    strict=True,
                )
            ]
            means, scales = zip(
                *((x[:, 0], tf.exp(x[:, 1])) for x in outputs), strict=True
            )
            gap = seen[:, 0] - seen[:, 1] + 0.5 * (means[0] - means[1])
            spread = 0.25 * (scales[0] ** 2 + scales[1] ** 2)
            closed = -tf.reduce_mean(gap**2 + spread)
        rows = []
        for target in (value, closed):
            gradients = tf.nest.flatten(tape.gradient(target, params))
            rows.append(
                tf.concat([tf.reshape(x, [-1]) for x in gradients], axis=0)
            )
        return tf.stack(rows)

    @tf.function
    def sample():
        seeds = tf.stack([tf.range(num_samples), tf.range(num_samples)], 1)
        return tf.map_fn(both, seeds, fn_output_signature=tf.float64)

    samples = sample().numpy()
    deviations = samples[:, 0] - samples[:, 1]
    errors = deviations.std(axis=0, ddof=1) / np.sqrt(num_samples)
    assert np.all(np.abs(deviations.mean(axis=0)) < 4 * errors)
    assert np.abs(samples[:, 1]).max() > 5 * errors.max()


# --- Seeds and play ---------------------------------------------------------


def test_a_seed_gives_the_same_values_and_another_seed_others():
    setting = Setting(ASYMMETRIC, "leave_one_out", 16)
    params = [[param] for param in setting.params]
    first = setting.sampled(params, [3, 4])
    np.testing.assert_array_equal(first, setting.sampled(params, [3, 4]))
    assert np.any(np.array(first) != setting.sampled(params, [3, 5]))


def test_a_step_plays_once_with_the_same_parameters_and_seed(monkeypatch):
    setting = Setting(ASYMMETRIC, "leave_one_out", 16)
    objective, played = setting.sampled.bind(), []
    sample = sampled.sample_trajectory

    def record(*inputs, seed, **options):
        played.append(seed)
        return sample(*inputs, seed=seed, **options)

    monkeypatch.setattr(sampled, "sample_trajectory", record)
    params = [[param] for param in setting.params]
    seed, other = tf.constant([3, 4]), tf.constant([3, 5])
    values = objective(params, seed)
    play = objective.play(params, seed)
    np.testing.assert_array_equal(values, play.values)
    assert len(played) == 1
    objective(params, other)
    moved = [[params[0][0] + 0.1], params[1]]
    objective(moved, seed)
    assert len(played) == 3
    # It keeps nothing beyond the step: unbound, it plays each time.
    setting.sampled.bind()(params, seed)
    for _ in range(2):
        setting.sampled(params, seed)
    assert len(played) == 6


# --- Critics ----------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"lambda_": 0.8, "tau": 0.5}])
@pytest.mark.parametrize("by_jacobian", [False, True])
@pytest.mark.parametrize("tapes_inside", [False, True])
def test_bound_for_a_step_an_objective_keeps_its_derivatives(
    options, by_jacobian, tapes_inside
):
    game = game_of(ASYMMETRIC)
    policies = tabular_policies(game)
    objective = DiCEObjective(
        game, policies, DISCOUNT, 8, "state_values", **options
    )
    params = [
        [tf.constant(player_params[0])]
        for player_params in random_params(policies, 3)
    ]
    theta, other = params[0][0], params[1][0]
    seed = tf.constant([1, 2])

    # Third derivatives, across players, once through a vectorised jacobian.
    @tf.function
    def derivatives(is_bound):
        own_objective = objective
        if is_bound:
            own_objective = objective.bind(tapes_inside=tapes_inside)
            assert own_objective.tapes_are_inside == tapes_inside
        with tf.GradientTape(persistent=True) as outer:
            outer.watch((theta, other))
            with tf.GradientTape(persistent=True) as middle:
                middle.watch((theta, other))
                with tf.GradientTape() as inner:
                    inner.watch(theta)
                    value = own_objective(params, seed)[0]
                first = inner.gradient(value, theta)
                square = tf.reduce_sum(first**2)
            if by_jacobian:
                second = middle.jacobian(first, other)
            else:
                second = middle.gradient(square, other)
            length = tf.reduce_sum(tf.sin(second))
        return [value, first, second, *outer.gradient(length, [theta, other])]

    for one, expected in zip(
        derivatives(True), derivatives(False), strict=True
    ):
        assert np.abs(expected).max() > 1e-6
        np.testing.assert_allclose(one, expected, rtol=1e-9, atol=1e-12)


def test_a_critic_is_held_constant_in_the_values():
    setting = Setting(ASYMMETRIC, "critic", 16)
    objective, params = setting.sampled, [[theta] for theta in setting.params]
    state = objective.initial_state()
    weights = [critic.params for critic in state.critics]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((weights, params))
        values = objective(params, [3, 4], state)
        gradient = tape.gradient(values[0], params[1][0])
    assert tape.gradient(values, weights) == [[None], [None]]
    assert tape.gradient(gradient, weights) == [[None], [None]]


@pytest.mark.parametrize("critic_td_lambda", [1.0, 0.6])
@pytest.mark.parametrize("wrap", [lambda game: game, EndsEarly])
def test_a_critic_minimises_its_error_against_returns(wrap, critic_td_lambda):
    """Lambda-returns, which are held constant: the plain ones with 1."""
    setting = Setting(ASYMMETRIC, "critic", 16, wrap)
    objective, params = setting.sampled, [[theta] for theta in setting.params]
    objective.critic_td_lambda = critic_td_lambda
    play = objective.play(params, [3, 4])
    state = objective.initial_state()
    tables = [critic.params for critic in state.critics]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(tables)
        losses = objective.critic_losses(tables, play)
    played = play.trajectory
    discounts = DISCOUNT * played.discounts.numpy()
    for i, (loss, (table,)) in enumerate(zip(losses, tables, strict=True)):
        rows = np.argmax(played.observations[i], axis=-1)
        values = table.numpy()[rows, 0]
        # G_t = r_t + gamma [(1 - lambda) v_(t+1) + lambda G_(t+1)].
        after = np.append(values[1:], np.zeros((1, 16)), axis=0)
        targets = oracles.returns_to_go(
            played.rewards[i].numpy()
            + discounts * (1 - critic_td_lambda) * after,
            discounts * critic_td_lambda,
        )
        # What follows the end of an episode does not count.
        counts = oracles.discount_weights(played.discounts.numpy())
        errors, total = counts * (values - targets), counts.sum()
        np.testing.assert_allclose(loss, np.sum(errors**2) / total, rtol=1e-12)
        expected = np.zeros((5, 1))
        np.add.at(expected[:, 0], rows, 2 * errors / total)
        np.testing.assert_allclose(
            tape.gradient(loss, table), expected, atol=1e-13
        )
        assert tape.gradient(loss, tables[1 - i]) == [None]


# --- Bad input --------------------------------------------------------------


def build(**changes):
    game = game_of(ASYMMETRIC)
    arguments = {"game": game, "policies": tabular_policies(game), **changes}
    return DiCEObjective(**arguments)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"batch_size": 1}, "'leave_one_out' needs `batch_size` of at least 2"),
        (
            {"batch_size": 1, "baseline": "state_values"},
            "'state_values' needs `batch_size` of at least 2",
        ),
        (
            {"baseline": "mean"},
            "`baseline` must be one of None, 'leave_one_out'",
        ),
        ({"baseline": "critic"}, "baseline='critic' and no critics"),
        (
            {"critics": critics_with_values(game_of(ASYMMETRIC))},
            "baseline='leave_one_out' and some critics",
        ),
        (
            {
                "baseline": "critic",
                "critics": critics_with_values(game_of(ASYMMETRIC))[:1],
            },
            "`critics` must have one entry for each of 2 players",
        ),
        (
            {
                "baseline": "critic",
                "critics": critics_with_values(game_of(THREE_PLAYERS))[:2],
            },
            r"`critics\[0\]`.* must take observations",
        ),
        (
            {"game": Plain(game_of(ASYMMETRIC)), "baseline": "state_values"},
            "'state_values' needs a game with finitely many states",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_a_batch_size_that_is_no_whole_number_is_refused():
    with pytest.raises(TypeError, match="`batch_size` must be a whole number"):
        build(batch_size=16.0)


def test_a_critic_that_is_no_model_is_refused():
    with pytest.raises(
        TypeError, match=r"`critics\[0\]` must be a keras.Model"
    ):
        build(baseline="critic", critics=[None, None])


def test_a_sampled_objective_needs_a_seed():
    objective = build()
    with pytest.raises(ValueError, match="`seed` must be an int32 tensor of s"):
        objective(objective.initial_params())
    with pytest.raises(ValueError, match=r"shape \[2\].*Received shape \(3,\)"):
        objective(objective.initial_params(), [1, 2, 3])
