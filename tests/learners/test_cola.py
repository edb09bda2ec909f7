"""COLA: its networks against closed forms, and what they descend."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.inner_optimizers import Adam
from dice_tf.learners import COLA, HOLA, FittedRates, Naive, consistency_loss
from dice_tf.learners.cola import fitting_gradients
from dice_tf.learners.update_functions import (
    directions_at,
    initial_update_functions,
)
from experiments.building.tandem import tandem_objective
from tests.learners import settings
from tests.toys import (
    ASYMMETRIC,
    exact_objective,
    random_params,
    tabular_policies,
)

RATES = (0.2, 0.3, 0.1)
SEED = (3, 4)


def as_tensors(params, dtype=tf.float64):
    return [[tf.constant(x, dtype) for x in part] for part in params]


def trained(learner, objective, params, num_steps, jit_compile=False):
    """The last step of a player that stands still while it learns."""

    @tf.function(autograph=False, jit_compile=jit_compile)
    def step(state, seed):
        return learner.step(objective, params, 0, seed, state)

    state = learner.init(params)
    for number in range(num_steps):
        direction, state = step(state, tf.constant([number, 5]))
    return direction, state


def falling(rate, num_steps):
    return keras.optimizers.schedules.PolynomialDecay(rate, num_steps, 0.0)


# --- What is learned --------------------------------------------------------


def test_in_the_tandem_game_the_networks_become_consistent():
    """LOLA's loss at rate 1 is 128; here it is at most 1e-6.

    As in the paper, points are up to 7 away from 0, and networks have a layer
    of 16. Of the two consistent updates, they come to that whose slope is
    smaller, `1 - (x + y) / 2`. If the slopes in x and in y differ, the loss
    grows only with the fourth power of the difference.
    """
    learner = COLA(
        1.0, radius=7.0, num_steps=100, learning_rate=falling(0.03, 400)
    )
    objective = tandem_objective()
    center = as_tensors([[0.0], [0.0]], tf.float32)
    direction, state = trained(
        learner, objective, center, 400, jit_compile=True
    )
    np.testing.assert_allclose(direction, [1.0], atol=0.02)
    assert float(state.loss) < 1e-6
    points = np.random.default_rng(0).uniform(-7.0, 7.0, [16, 2])
    losses = []
    for x, y in points:
        params = as_tensors([[x], [y]], tf.float32)
        (first,), (second,) = learner.directions(params, state)
        expected = 1.0 - (x + y) / 2.0
        np.testing.assert_allclose([first, second], expected, atol=0.1)
        losses.append(
            consistency_loss(
                lambda known: learner.directions(known, state),
                objective,
                params,
            )
        )
    assert np.mean(losses) < 1e-6


@pytest.mark.parametrize("game", ["quadratic_2", "quadratic_3"])
def test_in_a_quadratic_game_it_learns_the_limit_of_hola(game):
    """Directions of order n and n + 1 agree for large n: they are consistent.

    They are linear, and so are the networks.
    """
    setting = settings.make(game)
    rates = RATES[: len(setting.params)]
    order = 30 if len(rates) == 2 else 10
    learner = COLA(
        rates,
        hidden_units=(),
        num_steps=200,
        batch_size=16,
        learning_rate=falling(0.05, 20),
    )
    params = as_tensors(setting.params)
    _, state = trained(learner, setting.objective, params, 20)
    found = learner.directions(params, state)
    for i in range(len(rates)):
        before, expected = (
            setting.oracle.hola(setting.theta, i, n, rates)
            for n in (order - 1, order)
        )
        np.testing.assert_allclose(before, expected, atol=1e-4)
        np.testing.assert_allclose(
            settings.vector(found[i]), expected, atol=1e-3
        )
        lola = setting.oracle.hola(setting.theta, i, 1, rates)
        assert np.abs(lola - expected).max() > 0.02
    assert float(state.loss) < 1e-7


def test_at_rate_0_it_learns_the_gradient_of_naive():
    setting = settings.make("quadratic_2")
    params = as_tensors(setting.params)
    learner = COLA(
        0.0, hidden_units=(), num_steps=200, learning_rate=falling(0.05, 20)
    )
    direction, state = trained(learner, setting.objective, params, 20)
    expected = Naive().gradient(setting.objective, params, 0)
    np.testing.assert_allclose(
        settings.vector(direction), settings.vector(expected), atol=1e-3
    )
    # Nobody moves.
    assert float(state.loss) == 0.0


# --- What the networks descend ----------------------------------------------


def random_networks(params, hidden_units, scale=0.3):
    rng = np.random.default_rng(2)
    return [
        [tf.constant(rng.normal(scale=scale, size=x.shape)) for x in network]
        for network in initial_update_functions(params, hidden_units)
    ]


def linear_loss(setting, maps, rates, weights):
    """`sum_i |w_i (d_i - d/dtheta_i V_i(theta_i, theta_-i + a d_-i))|^2`.

    Args:
      setting: of a quadratic game.
      maps: by player `A` and `b` of its direction `A^T theta + b`.
      rates: `a`.
      weights: `w`.
    """
    game, theta, loss = setting.oracle, setting.theta, 0.0
    for i, (A, b) in enumerate(maps):
        M, shift = np.eye(len(theta)), np.zeros(len(theta))
        for j, (other_A, other_b) in enumerate(maps):
            rows = slice(game.ends[j] - game.sizes[j], game.ends[j])
            if j == i:
                entries = rows
            else:
                M[rows] += rates[j] * other_A.T
                shift[rows] += rates[j] * other_b
        # V_i(M theta + shift), differentiated in theta_i.
        slope = M.T @ (game.Q[i] @ (M @ theta + shift) + game.r[i])
        residual = A.T @ theta + b - slope[entries]
        loss += weights[i] ** 2 * residual @ residual
    return loss


@pytest.mark.parametrize("game", ["quadratic_2", "quadratic_3"])
def test_the_networks_descend_the_squares_of_the_residuals(game):
    """By differences, so that each way in which it flows is counted: through
    the direction itself, to where the opponents go, and through how that
    depends on the player."""
    setting = settings.make(game)
    rates = RATES[: len(setting.params)]
    params = as_tensors(setting.params)
    networks = random_networks(params, ())
    found, loss = fitting_gradients(setting.objective, params, networks, rates)
    maps = [[x.numpy() for x in network] for network in networks]
    np.testing.assert_allclose(
        loss, linear_loss(setting, maps, rates, rates), rtol=1e-10
    )
    ones, step = [1.0] * len(rates), 1e-6
    for i, network in enumerate(maps):
        for number, x in enumerate(network):
            expected = np.zeros_like(x)
            for index in np.ndindex(x.shape):
                ends = []
                for shift in (step, -step):
                    changed = [list(tensors) for tensors in maps]
                    changed[i][number] = x.copy()
                    changed[i][number][index] += shift
                    ends.append(linear_loss(setting, changed, rates, ones))
                expected[index] = (ends[0] - ends[1]) / (2.0 * step)
            np.testing.assert_allclose(
                found[i][number], expected, rtol=1e-6, atol=1e-6
            )


def test_all_networks_make_all_steps_of_adam():
    """At a radius of 0 all points are the parameters themselves."""
    setting = settings.make("quadratic_2")
    rates = RATES[:2]
    params = as_tensors(setting.params)
    learner = COLA(
        rates,
        hidden_units=(3,),
        radius=0.0,
        batch_size=2,
        num_steps=3,
        learning_rate=0.1,
    )
    state = learner.init(params)
    networks, slots = state.networks, state.slots
    for _ in range(3):
        gradients, loss = fitting_gradients(
            setting.objective, params, networks, rates
        )
        steps = [
            Adam().step(network, [-x for x in gradient], slot, 0.1)
            for network, gradient, slot in zip(
                networks, gradients, slots, strict=True
            )
        ]
        networks, slots = zip(*steps, strict=True)
    direction, state = learner.step(
        setting.objective, params, 1, tf.constant(SEED), state
    )
    for found, expected in zip(
        tf.nest.flatten([state.networks, state.slots]),
        tf.nest.flatten([networks, slots]),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(state.loss, loss, rtol=1e-9)
    np.testing.assert_allclose(learner.metrics(state), [loss], rtol=1e-9)
    expected = directions_at(networks, params)[1]
    np.testing.assert_allclose(
        settings.vector(direction), settings.vector(expected), rtol=1e-9
    )


def test_the_points_are_drawn_evenly_around_the_parameters():
    """With `V = -x^2 / 2` and directions of 0 the loss is the mean of x^2."""
    objective = dice_tf.objectives.FunctionObjective(
        [lambda params: -0.5 * params[0][0] ** 2]
    )
    params = as_tensors([[1.5]])
    learner = COLA(0.5, radius=2.0, batch_size=4096, num_steps=1)
    state = learner.init(params)
    losses = [
        float(learner.step(objective, params, 0, seed, state).state.loss)
        for seed in ((1, 2), (1, 2), (3, 4))
    ]
    expected = 0.25 * (1.5**2 + 2.0**2 / 3.0)
    np.testing.assert_allclose(losses, expected, rtol=0.05)
    assert losses[0] == losses[1] != losses[2]


def test_runs_that_draw_points_are_those_of_single_trainers():
    def players(seed, num_seeds):
        trainer = dice_tf.Trainer(
            exact_objective(ASYMMETRIC, 0.9, 3),
            [COLA(0.3, hidden_units=(2,), batch_size=3, num_steps=2), Naive()],
            num_seeds=num_seeds,
            seed=seed,
            initial_params="random",
        )
        trainer.compile(keras.optimizers.SGD(0.5), jit_compile=False)
        trainer.fit(steps_per_epoch=3, verbose=0)
        return [player.params[0] for player in trainer.players]

    for runs, single in zip(players(5, 2), players(6, 1), strict=True):
        np.testing.assert_allclose(runs[1], single[0], rtol=1e-9)
        assert np.max(np.abs(runs[0] - runs[1])) > 0.01


def test_a_schedule_is_followed_from_step_to_step():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [0], [0.1, 0.0]
    )
    setting = settings.make("quadratic_2")
    params = as_tensors(setting.params)
    learner = COLA(0.2, batch_size=1, num_steps=1, learning_rate=schedule)
    first = learner.init(params)
    seed = tf.constant(SEED)
    _, second = learner.step(setting.objective, params, 0, seed, first)
    _, third = learner.step(setting.objective, params, 0, seed, second)
    assert np.any(second.networks[0][1] != first.networks[0][1])
    np.testing.assert_array_equal(third.networks[0][1], second.networks[0][1])
    assert int(third.count) == 2


def test_networks_see_all_parameters_and_start_from_rest():
    setting = settings.make("quadratic_3")
    params = as_tensors(setting.params)
    networks = initial_update_functions(params, (4, 3))
    for part in directions_at(networks, params):
        assert not np.any(settings.vector(part))
    networks = random_networks(params, (4, 3))
    found = directions_at(networks, params)
    x = np.concatenate([settings.vector(part) for part in params])
    for direction, part, network in zip(found, params, networks, strict=True):
        A, b, W_1, c_1, W_2, c_2, U = (weights.numpy() for weights in network)
        hidden = np.tanh(W_2.T @ np.tanh(W_1.T @ x + c_1) + c_2)
        expected = A.T @ x + b + U.T @ hidden
        np.testing.assert_allclose(
            settings.vector(direction), expected, rtol=1e-12
        )
        assert [x.shape for x in direction] == [x.shape for x in part]


# --- As a learner -----------------------------------------------------------


def test_rates_that_are_fitted_see_the_opponents():
    """Those of players that move along their gradients, from the second step
    on; they enter the loss."""
    setting = settings.make("quadratic_2")
    params = as_tensors(setting.params)
    options = {"batch_size": 1, "num_steps": 1, "hidden_units": ()}
    learner = COLA(FittedRates(0.7), **options)
    assert learner.inner_rates.reads_gradients
    state = learner.init(params)
    seed = tf.constant(SEED)
    _, state = learner.step(setting.objective, params, 0, seed, state)
    gradient = Naive().gradient(setting.objective, params, 1)
    moved = [
        params[0],
        [x + 0.25 * g for x, g in zip(params[1], gradient, strict=True)],
    ]
    rates = learner.inner_rates.observe(state.rates, moved)
    assert float(learner.inner_rates.values(rates, 2)[1]) == pytest.approx(0.25)
    # The other player stood still, with a gradient that was not asked for.
    fixed = COLA((0.7, 0.25), **options)
    found = learner.step(setting.objective, moved, 0, seed, state)
    expected = fixed.step(
        setting.objective, moved, 0, seed, state._replace(rates=())
    )
    np.testing.assert_allclose(
        settings.vector(found.direction),
        settings.vector(expected.direction),
        rtol=1e-9,
    )


def test_no_tape_sees_how_the_networks_are_fitted():
    """Outside they are constants, so that a direction can be differentiated,
    also under XLA."""
    setting = settings.make("quadratic_2")
    params = as_tensors(setting.params)
    learner = COLA(0.2, batch_size=2, num_steps=2, learning_rate=0.1)

    @tf.function(autograph=False, jit_compile=True)
    def differentiate(params):
        with tf.GradientTape() as tape:
            tape.watch(params)
            step = learner.step(
                setting.objective,
                params,
                0,
                tf.constant(SEED),
                learner.init(params),
            )
            total = tf.add_n(list(map(tf.reduce_sum, step.direction)))
        return step.state, tape.gradient(total, params)

    state, found = differentiate(params)
    with tf.GradientTape() as tape:
        tape.watch(params)
        direction = learner.directions(params, state)[0]
        total = tf.add_n(list(map(tf.reduce_sum, direction)))
    expected = tape.gradient(total, params)
    for one, another in zip(
        tf.nest.flatten(found), tf.nest.flatten(expected), strict=True
    ):
        np.testing.assert_allclose(one, another, rtol=1e-9, atol=1e-12)
        assert np.any(one)


def test_seats_without_parameters_have_no_network():
    setting = settings.make("quadratic_1")
    (value,) = setting.objective.value_functions
    objective = dice_tf.objectives.FunctionObjective(
        [lambda params: -value(params[1:]), lambda params: value(params[1:])]
    )
    params = [[], *as_tensors(setting.params)]
    learner = COLA(0.2, batch_size=2, num_steps=1)
    state = learner.init(params)
    assert state.networks[0] == [] and len(state.networks[1]) == 5
    direction, same = learner.step(objective, params, 0, None, state)
    assert direction == [] and same is state
    direction, state = learner.step(
        objective, params, 1, tf.constant(SEED), state
    )
    assert [x.shape for x in direction] == [x.shape for x in params[1]]
    assert float(state.loss) > 0.0
    assert learner.init([[], []]).networks == [[], []]


# --- Errors -----------------------------------------------------------------


def test_sampled_values_and_missing_seeds_are_refused():
    game = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 2)
    policies = tabular_policies(game)
    params = random_params(policies, 0)
    learner = COLA(num_steps=1)
    sampled = dice_tf.objectives.DiCEObjective(game, policies, 0.9, 4)
    with pytest.raises(ValueError, match="COLA needs values in closed form"):
        learner.gradient(sampled, params, 0, SEED)
    exact = dice_tf.objectives.ExactObjective(game, policies, 0.9)
    with pytest.raises(ValueError, match="`seed` must be an int32 tensor of s"):
        learner.gradient(exact, params, 0)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"inner_learning_rate": "x"}, TypeError, "`inner_learning_rate` must"),
        ({"hidden_units": (0,)}, ValueError, "`hidden_units` must be at least"),
        ({"hidden_units": 16}, TypeError, "`hidden_units` must be a list"),
        ({"radius": -1.0}, ValueError, "`radius` must be finite and at least"),
        ({"batch_size": 0}, ValueError, "`batch_size` must be at least 1"),
        ({"batch_size": 2**25}, ValueError, "`batch_size` must be at most"),
        ({"num_steps": 0}, ValueError, "`num_steps` must be at least 1"),
        ({"num_steps": 2**25}, ValueError, "`num_steps` must be at most"),
        ({"learning_rate": "x"}, TypeError, "`learning_rate` must be a number"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        COLA(**arguments)


def test_what_it_remembers_is_checked():
    params = as_tensors([[1.0], [2.0]])
    learner = COLA(num_steps=1)
    calls = (
        lambda: learner.metrics(None),
        lambda: learner.directions(params, ()),
        lambda: learner.step(tandem_objective(), params, 0, SEED, ()),
    )
    for call in calls:
        with pytest.raises(TypeError, match="`state` must be what `init` or a"):
            call()
    with pytest.raises(TypeError, match="`states` must be what `init` or a"):
        learner.hoisted(())
    state, others = learner.init(params), as_tensors([[1.0], [2.0, 3.0]])
    message = r"`params` must hold as many .*, \[1, 1\]. Received: \[1, 2\]"
    with pytest.raises(ValueError, match=message):
        learner.step(tandem_objective(), others, 0, SEED, state)
    with pytest.raises(ValueError, match=message):
        learner.directions(others, state)
    with pytest.raises(ValueError, match="for each of 2 players. Received 1"):
        learner.directions(params[:1], learner.init(params))


def test_the_limit_of_hola_need_not_exist():
    """In the tandem game at rate 1 the orders move apart, as published."""
    objective, params = tandem_objective(), as_tensors([[0.1], [0.2]])
    found = [
        float(HOLA(order, 1.0).gradient(objective, params, 0)[0])
        for order in range(4)
    ]
    np.testing.assert_allclose(np.diff(found), [4.0, 8.0, 16.0])
