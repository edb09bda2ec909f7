"""What stands behind the end of an episode does not count, whatever it is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf import estimators
from dice_tf.diagnostics import derivative_statistics, shaping_share
from dice_tf.estimators import returns
from dice_tf.estimators.returns import running_steps
from dice_tf.learners import LOLADiCE, Naive
from dice_tf.objectives import (
    DiCEObjective,
    FirstOrderBaselineObjective,
    SurrogateObjective,
)
from dice_tf.opponent_models import OpponentModelling
from dice_tf.play.trajectories import player_log_probs
from tests import oracles
from tests.recurrent import gru_policies
from tests.strategies import on_replicas
from tests.toys import (
    ASYMMETRIC,
    Plain,
    Pursuit,
    normal_policy,
    random_params,
    tabular_policies,
)

pytestmark = pytest.mark.own_process

T, DISCOUNT = 5, 0.9
# The last step of each episode. The last of them is not shortened.
ENDS = np.array([0, 2, 1, 3, 4, 0])
B = len(ENDS)
BEHIND = np.arange(T)[:, np.newaxis] > ENDS
FILLERS = ["nan", "inf", "-inf", "random"]


def filled(x, filler):
    """`x` with something else behind the end."""
    x = np.asarray(x)
    if filler == "random":
        other = 10.0 * np.random.default_rng(8).normal(size=x.shape)
    else:
        other = np.full(x.shape, float(filler))
    return np.where(BEHIND, other, x)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def ending_discounts():
    """0.9 per step and 0 at each end; anything but 0 behind it."""
    steps = np.arange(T)[:, np.newaxis]
    return np.where(steps == ENDS, 0.0, np.where(BEHIND, 0.7, DISCOUNT))


# --- Sums over time ---------------------------------------------------------


def shortened(function, *tensors):
    """A function of each episode by itself, cut off at its end; 0 behind."""
    result = np.zeros((T, B))
    for b, end in enumerate(ENDS):
        own = [tf.constant(x[: end + 1, b : b + 1]) for x in tensors]
        result[: end + 1, b] = function(*own)[:, 0]
    return result


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize("decay", [0.0, 0.4, 1.0])
def test_returns_and_advantages_are_those_of_shorter_episodes(filler, decay):
    rewards, values = normal(T, B), normal(T, B, seed=1)
    upstream = np.where(BEHIND, 0.0, normal(T, B, seed=2))
    functions = [
        lambda r, v, discount: returns.returns_to_go(r, discount),
        lambda r, v, discount: returns.generalized_advantages(
            r, v, discount=discount, tau=decay
        ),
        lambda r, v, discount: returns.lambda_returns(
            r, v, discount=discount, lambda_=decay
        ),
        lambda r, v, discount: returns.discounted_errors(r, v, discount),
        lambda r, v, discount: returns.discounted_rewards(r, discount),
    ]
    for function in functions:
        expected = shortened(
            lambda r, v, f=function: f(r, v, DISCOUNT), rewards, values
        )
        padded = [tf.constant(filled(x, filler)) for x in (rewards, values)]
        with tf.GradientTape() as tape:
            tape.watch(padded)
            found = function(*padded, ending_discounts())
        np.testing.assert_allclose(
            np.where(BEHIND, 0.0, found), expected, atol=1e-12
        )
        # Linear: the gradients tell the whole result.
        gradients = tape.gradient(
            found,
            padded,
            output_gradients=tf.constant(upstream),
            unconnected_gradients="zero",
        )
        for own in gradients:
            np.testing.assert_array_equal(own.numpy()[BEHIND], 0.0)
        total = sum(
            np.sum(np.where(BEHIND, 0.0, own) * x)
            for own, x in zip(gradients, (rewards, values), strict=True)
        )
        np.testing.assert_allclose(
            total, np.sum(upstream * expected), rtol=1e-10
        )


@pytest.mark.parametrize("filler", FILLERS)
def test_reported_means_are_those_of_shorter_episodes(filler):
    rewards = normal(T, B)
    weights = DISCOUNT ** np.arange(T)[:, np.newaxis] * ~BEHIND
    found = returns.mean_return(
        tf.constant(filled(rewards, filler)), ending_discounts()
    )
    np.testing.assert_allclose(found, np.sum(weights * rewards) / B)
    np.testing.assert_allclose(
        returns.discount_weights(tf.constant(rewards), ending_discounts()),
        weights,
        rtol=1e-12,
    )


def test_a_discount_that_is_nan_behind_the_end_does_not_count():
    rewards = tf.constant(normal(T, B))
    discounts = tf.constant(filled(ending_discounts(), "nan"))
    for function in (returns.mean_return, returns.returns_to_go):
        np.testing.assert_allclose(
            np.where(BEHIND, 0.0, function(rewards, discounts)),
            np.where(BEHIND, 0.0, function(rewards, ending_discounts())),
        )


# --- Estimators -------------------------------------------------------------

ESTIMATORS = {
    "dice": (dice_tf.dice_objective, {"baseline": None}),
    "dice, left out": (dice_tf.dice_objective, {"baseline": "leave_one_out"}),
    "dice, means": (
        dice_tf.dice_objective,
        {"baseline": lambda discounted: 0.5 * discounted},
    ),
    "dice, values": (dice_tf.dice_objective, {}),
    "surrogate": (estimators.surrogate_objective, {"baseline": None}),
    "surrogate, left out": (
        estimators.surrogate_objective,
        {"baseline": "leave_one_out"},
    ),
    "surrogate, gae": (estimators.surrogate_objective, {"tau": 0.4}),
    "first order": (estimators.first_order_baseline_objective, {}),
    "loaded": (
        estimators.loaded_dice_objective,
        {"lambda_": 0.7, "tau": 0.6},
    ),
}


def derivatives_of(name, theta, filler, batch=slice(None), end=T):
    """Values, gradient and a Hessian-vector product, of all log-probs too."""
    function, options = ESTIMATORS[name]
    features = tf.constant(normal(T, B, 3, seed=5)[:end, batch])
    arrays = [normal(T, B, seed=1), normal(T, B, seed=4)]
    discount = DISCOUNT
    behind = tf.zeros(features.shape[:2], bool)
    if filler is not None:
        arrays = [filled(x, filler) for x in arrays]
        discount = ending_discounts()[:end, batch]
        behind = tf.constant(BEHIND[:end, batch])
    rewards, values = (tf.constant(x[:end, batch]) for x in arrays)
    other = rewards if filler is None else filled(np.zeros((T, B)), filler)
    theta = tf.constant(theta)
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(theta)
        with tf.GradientTape(persistent=True) as inner:
            inner.watch(theta)
            log_probs = tf.tanh(tf.linalg.matvec(features, theta))
            log_probs = tf.where(behind, other, log_probs)
            inner.watch(log_probs)
            result = function(
                log_probs,
                rewards,
                discount=discount,
                **{"baseline": values, **options},
            )
            total = tf.reduce_sum(result)
        gradient = inner.gradient(total, theta)
        product = tf.reduce_sum(
            gradient * tf.constant([1.0, -2.0, 0.5], tf.float64)
        )
    product = outer.gradient(product, theta)
    if product is None:
        product = tf.zeros_like(gradient)
    return result, gradient, product, inner.gradient(total, log_probs)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimates_and_derivatives_are_those_of_a_clean_play(name):
    theta = normal(3, seed=7)
    clean = derivatives_of(name, theta, "0")
    assert np.abs(clean[1]).max() > 1e-3
    for filler in FILLERS:
        padded = derivatives_of(name, theta, filler)
        for one, other in zip(padded, clean, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)
        np.testing.assert_array_equal(padded[-1].numpy()[BEHIND], 0.0)


@pytest.mark.parametrize(
    "name", [name for name in ESTIMATORS if "left out" not in name]
)
def test_estimates_and_derivatives_are_those_of_shorter_episodes(name):
    theta = normal(3, seed=7)
    values, *padded, _ = derivatives_of(name, theta, "nan")
    alone = [
        derivatives_of(name, theta, None, slice(b, b + 1), end + 1)
        for b, end in enumerate(ENDS)
    ]
    np.testing.assert_allclose(values, [own[0][0] for own in alone], rtol=1e-12)
    for order, found in enumerate(padded, start=1):
        expected = sum(own[order].numpy() for own in alone)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


# --- Games that end early ---------------------------------------------------


class EndsAt(Plain):
    """Episodes end at `ENDS`; after that players see and earn a filler.

    Without a filler the game goes on as if nothing had ended.
    """

    def __init__(self, game, filler=None, discount_after=0.0):
        super().__init__(game)
        self.filler = None
        if filler is not None:
            self.filler = 7.3 if filler == "random" else float(filler)
        self.discount_after = discount_after

    def reset(self, seed, batch_size):
        state, step = super().reset(seed, batch_size)
        # How many steps are left.
        return (state, tf.constant(ENDS[:batch_size])), step

    def step(self, state, actions, seed):
        state, left = state
        state, after = super().step(state, actions, seed)
        ones = tf.ones_like(after.discounts)
        discounts = tf.where(left < 0, self.discount_after * ones, ones)
        discounts = tf.where(left == 0, tf.zeros_like(ones), discounts)
        observations, rewards = after.observations, after.rewards
        if self.filler is not None:
            observations = tuple(
                tf.where((left <= 0)[:, tf.newaxis], self._fill(x), x)
                for x in observations
            )
            rewards = tuple(
                tf.where(left < 0, self._fill(x), x) for x in rewards
            )
        after = dice_tf.games.TimeStep(observations, rewards, discounts)
        return (state, left - 1), after

    def _fill(self, x):
        return tf.fill(tf.shape(x), tf.constant(self.filler, x.dtype))


def matrix_game(length=T):
    return dice_tf.games.iterated_matrix_game(
        ASYMMETRIC, length, dtype="float64"
    )


def objective_of(kind, game, filler, discount_after=0.0, **options):
    """An objective in which episodes end at `ENDS`, and parameters."""
    policies = options.pop("policies", None) or tabular_policies(game)
    critics = None
    if options.get("baseline") == "critic":
        critics = [dice_tf.critics.tabular_critic(game, i) for i in range(2)]
        for critic, own in zip(critics, random_params(critics, 1), strict=True):
            critic.set_weights(own)
    objective = kind(
        EndsAt(game, filler, discount_after=discount_after),
        policies,
        DISCOUNT,
        B,
        critics=critics,
        **{"baseline": None, **options},
    )
    params = [
        [tf.constant(x) for x in own] for own in random_params(policies, 3)
    ]
    return objective, params


def assert_same(found, expected, at_least=1e-3):
    """Two nests are equal, and not of zeros alone."""
    found, expected = map(tf.nest.flatten, (found, expected))
    assert max(np.abs(x).max() for x in expected) > at_least
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


OBJECTIVES = {
    "none": (DiCEObjective, {}),
    "left out": (DiCEObjective, {"baseline": "leave_one_out"}),
    "groups": (DiCEObjective, {"baseline": "leave_one_out", "num_groups": 2}),
    "critic": (DiCEObjective, {"baseline": "critic"}),
    "loaded": (
        DiCEObjective,
        {"baseline": "critic", "lambda_": 0.7, "tau": 0.4},
    ),
    "first order": (FirstOrderBaselineObjective, {"baseline": "critic"}),
    "surrogate": (SurrogateObjective, {"baseline": "critic", "tau": 0.4}),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_values_and_look_aheads_are_those_of_a_clean_play(name):
    """Of the values, first and second derivatives, across players."""
    kind, options = OBJECTIVES[name]
    learner = LOLADiCE(1, 0.5)

    def both(filler, **more):
        objective, params = objective_of(
            kind, matrix_game(), filler, **options, **more
        )
        return [
            objective(params, [1, 2]),
            learner.gradient(objective, params, 0, [1, 2]),
        ]

    clean = both(None)
    for filler in ("nan", "inf", "random"):
        assert_same(both(filler), clean)
    assert_same(both("nan", discount_after=1.0), clean)


def reported(objective, params):
    """What a play reports, and derivatives of entropies and divergences."""
    others = [[x + 0.3 for x in own] for own in params]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((params, others))
        play = objective.play(params, [1, 2])
        divergences = objective.divergences(params, others, [1, 2])
    return [
        play.values,
        play.entropies,
        divergences,
        [tape.gradient(play.entropies[i], params[i]) for i in range(2)],
        [
            tape.gradient(divergences[i], (params[i], others[i]))
            for i in range(2)
        ],
    ]


@pytest.mark.parametrize("memory", [False, True])
def test_entropies_and_divergences_are_those_of_a_clean_play(memory):
    game = matrix_game(T)
    policies = gru_policies(game) if memory else tabular_policies(game)
    clean = reported(
        *objective_of(DiCEObjective, game, None, policies=policies)
    )
    for filler in ("nan", "inf", "random"):
        padded = objective_of(DiCEObjective, game, filler, policies=policies)
        assert_same(reported(*padded), clean)


def test_entropies_and_divergences_are_means_over_what_was_played():
    """By discounted visits, in NumPy."""
    objective, params = objective_of(DiCEObjective, matrix_game(), "nan")
    play = objective.play(params, [1, 2])
    others = [[x + 0.3 for x in own] for own in params]
    found = objective.divergences(params, others, [1, 2])
    weights = DISCOUNT ** np.arange(T)[:, np.newaxis] * ~BEHIND
    for i in range(2):
        seen = np.nan_to_num(play.trajectory.observations[i])
        rows = np.argmax(seen, axis=-1)
        pi, old = (oracles.policy(x[i][0]) for x in (params, others))
        entropies = -np.sum(pi * np.log(pi), axis=1)[rows]
        ratios = np.sum(pi * np.log(pi / old), axis=1)[rows]
        for mean, own in (
            (play.entropies[i], entropies),
            (found[i], ratios),
        ):
            expected = np.sum(weights * own) / np.sum(weights)
            np.testing.assert_allclose(mean, expected, rtol=1e-12)


@pytest.mark.parametrize("td_lambda", [0.0, 0.5, 1.0])
def test_critics_learn_what_a_clean_play_shows(td_lambda):
    def losses(filler):
        objective, params = objective_of(
            DiCEObjective,
            matrix_game(),
            filler,
            baseline="critic",
            critic_td_lambda=td_lambda,
        )
        play = objective.play(params, [1, 2])
        tables = [x.params for x in objective.initial_state().critics]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(tables)
            found = objective.critic_losses(tables, play)
        return [
            found,
            [tape.gradient(found[i], tables[i]) for i in range(2)],
        ]

    clean = losses(None)
    for filler in ("nan", "inf", "random"):
        assert_same(losses(filler), clean)


@pytest.mark.parametrize("memory", [False, True])
def test_models_of_opponents_are_fitted_to_what_a_clean_play_shows(memory):
    game = matrix_game(2)
    policies = gru_policies(game) if memory else tabular_policies(game)
    learner = OpponentModelling(Naive(), [None, policies[1]], num_steps=1)

    def step(filler):
        objective, params = objective_of(
            DiCEObjective, game, filler, policies=policies
        )
        state = learner.init(params)
        return learner.step(objective, params, 0, tf.constant([1, 2]), state)

    clean = step(None)
    for filler in ("nan", "random"):
        assert_same(step(filler), clean)


def test_diagnostics_are_those_of_a_clean_play():
    def measured(filler):
        objective, params = objective_of(DiCEObjective, matrix_game(2), filler)
        statistics = derivative_statistics(
            objective, 0, params=params, direction=params, num_repetitions=2
        )
        shares = shaping_share(
            LOLADiCE(1, 0.5), objective, 0, params=params, num_repetitions=1
        )
        return [
            *(own.mean for own in statistics),
            *shares.direction,
            shares.share,
        ]

    assert_same(measured("nan"), measured(None))


def test_continuous_players_are_those_of_a_clean_play():
    """What they do behind the end is NaN, too."""
    policies = [normal_policy(i) for i in range(2)]

    def both(filler):
        objective, params = objective_of(
            DiCEObjective, Pursuit(T), filler, policies=policies
        )
        gradient = LOLADiCE(1, 0.5).gradient(objective, params, 0, [1, 2])
        return [*reported(objective, params), gradient]

    assert_same(both("nan"), both(None))


def test_matches_are_those_of_a_clean_play():
    game = matrix_game()
    policies = tabular_policies(game)

    def match(filler):
        own = EndsAt(game, filler)
        found = dice_tf.evaluation.play_match(
            own, policies, batch_size=B, seed=(1, 2)
        )
        return found[:4]

    assert_same(match("nan"), match(None))


def test_training_is_that_of_a_clean_play():
    """With critics and an entropy bonus, two runs in one program."""

    def trained(filler):
        objective, _ = objective_of(
            DiCEObjective, matrix_game(2), filler, baseline="critic"
        )
        trainer = dice_tf.Trainer(
            objective,
            [Naive()] * 2,
            num_seeds=2,
            entropy_coefficient=0.3,
        )
        trainer.compile(keras.optimizers.SGD(0.5), jit_compile=False)
        history = trainer.fit(steps_per_epoch=3, verbose=0)
        variables = [
            [*own.params, *own.critic_params] for own in trainer.players
        ]
        return [
            trainer.curves,
            {name: x[0] for name, x in history.history.items()},
            tf.nest.map_structure(lambda x: x.numpy(), variables),
        ]

    found, expected = (tf.nest.flatten(trained(x)) for x in ("nan", None))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_replicas_share_out_what_counts():
    """They have numbers of steps of their own: means are of the batch."""
    objective, params = objective_of(
        DiCEObjective, matrix_game(), "nan", baseline="critic"
    )
    tables = [x.params for x in objective.initial_state().critics]

    def compute():
        play = objective.play(params, [1, 2])
        others = [[x + 0.3 for x in own] for own in params]
        return [
            play.values,
            play.entropies,
            objective.critic_losses(tables, play),
            objective.divergences(params, others, [1, 2]),
        ]

    whole = compute()
    for own in on_replicas(compute):
        assert_same(own, whole)


# --- Every episode over at its first step -----------------------------------


def test_what_changes_after_the_first_step_trains_nobody():
    """Entropy log 2 at rest, and a critic that is 1 too low."""

    class Once(dice_tf.games.Game):
        """Over at step 1 of 10: then players see and earn something else."""

        num_players = 1
        num_actions = (2,)
        observation_shapes = ((1,),)
        episode_length = 10
        dtype = tf.float64

        def reset(self, seed, batch_size):
            zeros = tf.zeros([batch_size], self.dtype)
            step = dice_tf.games.TimeStep(
                (zeros[:, tf.newaxis],), (zeros,), zeros + 1.0
            )
            return zeros, step

        def step(self, state, actions, seed):
            ones = tf.ones_like(state)
            rewards = tf.where(state == 0.0, ones, 5.0 * ones)
            step = dice_tf.games.TimeStep(
                (ones[:, tf.newaxis],), (rewards,), tf.zeros_like(state)
            )
            return ones, step

    def dense(kernel):
        inputs = keras.Input((1,), dtype="float64")
        layer = keras.layers.Dense(1, dtype="float64")
        model = keras.Model(inputs, layer(inputs))
        model.set_weights([np.array([[kernel]]), np.zeros(1)])
        return model

    objective = DiCEObjective(
        Once(), [dense(3.0)], 0.9, 4, "critic", [dense(2.0)]
    )
    params = objective.initial_params()
    critic = [x.params for x in objective.initial_state().critics]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((params, critic))
        play = objective.play(params, [1, 2])
        (loss,) = objective.critic_losses(critic, play)
    np.testing.assert_allclose(play.entropies[0], np.log(2), rtol=1e-12)
    for own in tape.gradient(play.entropies[0], params[0]):
        np.testing.assert_allclose(own, np.zeros(own.shape), atol=1e-12)
    np.testing.assert_allclose(play.values[0], 1.0, rtol=1e-12)
    np.testing.assert_allclose(loss, 1.0, rtol=1e-12)
    kernel, bias = tape.gradient(loss, critic[0])
    np.testing.assert_allclose(kernel, [[0.0]], atol=1e-12)
    np.testing.assert_allclose(bias, [-2.0], rtol=1e-12)


# --- Trajectories from elsewhere --------------------------------------------


def test_illegal_actions_behind_the_end_do_not_count():
    """As padding may have them, in a trajectory that somebody else made."""
    objective, params = objective_of(DiCEObjective, matrix_game(), None)
    clean = objective.play(params, [1, 2]).trajectory
    actions = tuple(tf.where(BEHIND, 17, own) for own in clean.actions)
    observations = tuple(
        tf.where(BEHIND[..., np.newaxis], np.inf, own)
        for own in clean.observations
    )
    padded = clean._replace(actions=actions, observations=observations)
    weights = objective.player_weights(params)
    for i, actor in enumerate(objective.actors):
        one, other = (
            player_log_probs(actor, weights[i], own, i)
            for own in (padded, clean)
        )
        np.testing.assert_array_equal(
            one.numpy()[~BEHIND], other.numpy()[~BEHIND]
        )
        assert np.all(np.isfinite(one))


def test_what_is_cut_off_behind_another_end_does_not_count():
    """Padding may hold any flags beside what no critic can read."""
    objective, params = objective_of(
        DiCEObjective, matrix_game(), None, baseline="critic"
    )
    play = objective.play(params, [1, 2])
    tables = [x.params for x in objective.initial_state().critics]
    flags = tf.constant(BEHIND, tf.float64)
    observations = tuple(
        tf.where(BEHIND[..., np.newaxis], np.nan, own)
        for own in play.trajectory.observations
    )
    padded = play.trajectory._replace(
        observations=observations, truncations=(flags, flags)
    )

    def losses(trajectory):
        with tf.GradientTape() as tape:
            tape.watch(tables)
            found = objective.critic_losses(
                tables, play._replace(trajectory=trajectory)
            )
        return [found, tape.gradient(found, tables)]

    assert_same(losses(padded), losses(play.trajectory))


def test_a_step_runs_until_a_discount_of_0_has_come():
    running = running_steps(tf.constant(ending_discounts()))
    np.testing.assert_array_equal(running, ~BEHIND)
    assert not np.any(
        running_steps(tf.constant(filled(ending_discounts(), "nan")))[BEHIND]
    )


class Padding(dice_tf.bridges.VectorEnvironment):
    """Ends at step 1, and earns NaN from then on."""

    num_actions = (2,)
    observation_shapes = ((1,),)

    def reset(self, seeds):
        self.time = 0
        return (np.zeros((len(seeds), 1)),)

    def step(self, actions):
        self.time += 1
        size = len(actions[0])
        filler = 1.0 if self.time == 1 else np.nan
        return dice_tf.bridges.VectorStep(
            (np.full((size, 1), np.nan),),
            (np.full(size, filler),),
            np.zeros(size, bool),
        )


def test_environments_in_python_may_return_anything_after_the_end():
    game = dice_tf.bridges.PythonGame(Padding, 3)
    policy = dice_tf.policies.mlp(game, 0, hidden_units=(2,))
    objective = DiCEObjective(game, [policy], 0.9, 4)
    play = objective.play(objective.initial_params(), [1, 2])
    assert float(play.values[0]) == 1.0
    np.testing.assert_array_equal(play.trajectory.rewards[0][1:], 0.0)
    gradient = Naive().gradient(
        objective, objective.initial_params(), 0, [1, 2]
    )
    assert np.all([np.all(np.isfinite(own)) for own in gradient])
