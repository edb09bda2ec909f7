"""Entropies, divergences and values where some probabilities are 0."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from dice_tf import estimators
from dice_tf.distributions import action_log_probs, all_log_probs
from dice_tf.learners import LOLADiCE, Naive
from dice_tf.objectives import DiCEObjective, ExactObjective
from dice_tf.opponent_models import OpponentModelling
from dice_tf.policies.entropies import divergence, entropy
from tests.toys import Plain, masked_game, random_params, tabular_policies

pytestmark = pytest.mark.own_process

tfd = tfp.distributions
NEVER = np.array([False, True, False, True])


def of_all(function, *inputs):
    """Values, gradients and Hessian-vector products in the first input."""
    x = tf.convert_to_tensor(inputs[0])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = function(x, *inputs[1:])
        gradient = inner.gradient(y, x)
        total = tf.reduce_sum(tf.sin(gradient))
    return y, gradient, outer.gradient(total, x)


# --- Sums over actions ------------------------------------------------------


def log_probs_without(logits):
    never = tf.constant(-np.inf, logits.dtype)
    return tf.nn.log_softmax(tf.where(NEVER, never, logits))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_an_action_of_probability_0_has_no_part_in_any_derivative(jit_compile):
    """They are those of fewer actions."""
    x, y = np.random.default_rng(0).normal(size=(2, 4))
    functions = [
        lambda x, y: entropy(x),
        divergence,
        lambda x, y: divergence(y, x),
    ]
    for function in functions:

        @tf.function(jit_compile=jit_compile, autograph=False)
        def masked(x, y, function=function):
            def value(logits, against):
                return function(
                    log_probs_without(logits), log_probs_without(against)
                )

            return of_all(value, x, y)

        def fewer(logits, against, function=function):
            return function(
                tf.nn.log_softmax(logits), tf.nn.log_softmax(against)
            )

        expected = of_all(fewer, x[~NEVER], y[~NEVER])
        for found, other in zip(
            masked(tf.constant(x), tf.constant(y)), expected, strict=True
        ):
            if found.shape.rank:
                np.testing.assert_array_equal(found.numpy()[NEVER], 0.0)
                found = found.numpy()[~NEVER]
            np.testing.assert_allclose(found, other, rtol=1e-12, atol=1e-14)


def test_nothing_is_as_far_as_what_a_policy_never_does():
    log_probs = tf.constant(np.log([0.25, 0.75]))
    others = tf.constant([0.0, -np.inf], tf.float64)
    value, gradient, curvature = of_all(divergence, log_probs, others)
    assert value == np.inf
    assert np.all(np.isfinite(gradient)) and np.all(np.isfinite(curvature))
    # The other way round it is log 4.
    np.testing.assert_allclose(divergence(others, log_probs), np.log(4.0))


def test_what_is_not_a_number_stays_none():
    log_probs = tf.constant([np.nan, -1.0], tf.float64)
    fine = tf.constant([-1.0, -1.0], tf.float64)
    for value in (
        entropy(log_probs),
        divergence(log_probs, fine),
        divergence(fine, log_probs),
    ):
        assert np.isnan(value)


# --- Distributions made of probabilities ------------------------------------


@pytest.mark.parametrize("kind", ["Categorical", "Bernoulli"])
def test_probabilities_of_0_have_finite_log_probabilities_beside_them(kind):
    """As those of logits, to the second order."""
    x = np.random.default_rng(1).normal(size=4)
    actions = [0, 2] if kind == "Categorical" else [0, 1]

    def probs(x):
        if kind == "Categorical":
            return tf.where(NEVER, tf.zeros_like(x), tf.exp(x))
        return tf.sigmoid(x)

    def by_probs(x):
        if kind == "Categorical":
            distribution = tfd.Categorical(probs=probs(x))
            return distribution, tf.gather(
                all_log_probs(distribution, 4), actions
            )
        distribution = tfd.Bernoulli(
            probs=tf.where(NEVER, 1.0 * NEVER, probs(x))
        )
        return distribution, all_log_probs(distribution, 2)[~NEVER]

    def expected(x):
        if kind == "Categorical":
            return tf.gather(log_probs_without(x), actions)
        pair = [-tf.nn.softplus(x), -tf.nn.softplus(-x)]
        return tf.stack(pair, axis=-1)[~NEVER]

    weights = np.random.default_rng(2).normal(size=expected(x).shape)
    found, other = (
        of_all(lambda x, f=f: tf.reduce_sum(weights * f(x)), x)
        for f in (lambda x: by_probs(x)[1], expected)
    )
    for one, right in zip(found, other, strict=True):
        np.testing.assert_allclose(one, right, rtol=1e-9, atol=1e-12)
    # Of one action each, the same.
    distribution = by_probs(tf.constant(x))[0]
    size = 4 if kind == "Categorical" else 2
    shape = [] if kind == "Categorical" else [4]
    for action in range(size):
        np.testing.assert_array_equal(
            action_log_probs(distribution, tf.fill(shape, action), size),
            all_log_probs(distribution, size)[..., action],
        )


# --- Policies ---------------------------------------------------------------

# A probability that no sum can tell from 0, and whose logit is finite.
_TINY = -200.0
LAST = np.array([False, False, True])


def last_never(how):
    """A head of three actions of which the last is never taken."""

    def head(outputs):
        if how == "probs":
            probs = tf.where(LAST, tf.zeros_like(outputs), tf.exp(outputs))
            probs /= tf.reduce_sum(probs, axis=-1, keepdims=True)
            return tfd.Categorical(probs=probs)
        never = _TINY if how == "finite" else -np.inf
        mask = tf.constant(np.where(LAST, never, 0.0), outputs.dtype)
        return tfd.Categorical(logits=outputs + mask)

    return head


def always_sometimes(how):
    """A head of two actions, of which one is certain where x > 0.3."""

    def head(outputs):
        outputs = outputs[..., 0]
        is_certain = outputs > 0.3
        if how == "probs":
            ones = tf.ones_like(outputs)
            probs = tf.where(is_certain, ones, tf.sigmoid(outputs))
            return tfd.Bernoulli(probs=probs)
        certain = -_TINY if how == "finite" else np.inf
        certain = tf.fill(tf.shape(outputs), tf.cast(certain, outputs.dtype))
        return tfd.Bernoulli(logits=tf.where(is_certain, certain, outputs))

    return head


PAYOFFS = np.random.default_rng(4).normal(size=(2, 3, 2))


def game_of(length=2, dtype="float64"):
    return dice_tf.games.iterated_matrix_game(PAYOFFS, length, dtype=dtype)


def policies_of(game, how):
    policies = tabular_policies(game)
    heads = (last_never(how), always_sometimes(how))
    for policy, values, head in zip(
        policies, random_params(policies, 6), heads, strict=True
    ):
        policy.set_weights(values)
        dice_tf.policies.with_head(policy, head)
    return policies


OBJECTIVES = {
    "exact": lambda game, policies: ExactObjective(game, policies, 0.9),
    "by state": lambda game, policies: DiCEObjective(game, policies, 0.9, 40),
    "by observation": lambda game, policies: DiCEObjective(
        Plain(game), policies, 0.9, 40
    ),
}


def everything(objective):
    """Values, entropies and divergences, with first and second derivatives."""
    seed = tf.constant([1, 2])
    params = objective.initial_params()
    others = [[0.7 * x for x in player_params] for player_params in params]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((params, others))
        play = objective.play(params, seed)
        divergences = objective.divergences(params, others, seed)
    found = [objective(params, seed), play.values, play.entropies, divergences]
    for i in range(2):
        found += [
            tape.gradient(play.entropies[i], params[i]),
            tape.gradient(divergences[i], (params[i], others[i])),
            LOLADiCE(1, 0.5).gradient(objective, params, i, seed),
        ]
    return tf.nest.flatten(found)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_policy_that_never_does_something_is_measured_as_any_other(name):
    """As one that does it with a probability of e^-200."""
    game = game_of()
    rows = {
        how: tf.function(everything, autograph=False)(
            OBJECTIVES[name](game, policies_of(game, how))
        )
        for how in ("finite", "logits", "probs")
    }
    assert max(np.abs(x).max() for x in rows["finite"]) > 0.1
    for how in ("logits", "probs"):
        for found, expected in zip(rows[how], rows["finite"], strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["exact", "by state"])
@pytest.mark.parametrize("how", ["logits", "probs"])
def test_an_entropy_bonus_trains_it(name, how):
    game, ends = game_of(dtype="float32"), []
    for kind in (how, "finite"):
        policies = policies_of(game, kind)
        trainer = dice_tf.Trainer(
            OBJECTIVES[name](game, policies),
            [Naive()] * 2,
            entropy_coefficient=0.5,
        )
        trainer.compile(keras.optimizers.SGD(0.5), jit_compile=False)
        trainer.fit(steps_per_epoch=3, verbose=0)
        ends.append([player.params[0].numpy() for player in trainer.players])
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrap", [lambda game: game, Plain])
def test_a_model_may_know_what_is_never_done(wrap):
    game, found = game_of(), []
    for how in ("logits", "finite"):
        policies = policies_of(game, how)
        models = policies_of(game, how)
        objective = DiCEObjective(wrap(game), policies, 0.9, 40)
        learner = OpponentModelling(Naive(), [models[0], None], num_steps=2)
        params = objective.initial_params()
        step = learner.step(
            objective, params, 1, tf.constant([1, 2]), learner.init(params)
        )
        found.append(tf.nest.flatten(step))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_matches_know_what_is_never_done():
    game = game_of()
    for how in ("logits", "probs"):
        policies = policies_of(game, how)
        for match in (
            dice_tf.evaluation.exact_match(game, policies),
            dice_tf.evaluation.play_match(
                game, policies, batch_size=50, seed=(1, 2)
            ),
        ):
            assert np.all(np.isfinite(match.mean))
            assert match.action_rates[0][2] == 0.0


@pytest.mark.parametrize("wrap", [lambda game: game, Plain])
def test_the_largest_noise_does_not_choose_what_is_never_done(
    monkeypatch, wrap
):
    """Rounded, the probabilities of the others may sum to less than 1."""
    largest = 1.0 - 2.0**-24
    logits = next(
        row
        for row in np.random.default_rng(0).normal(size=(100, 3))
        if np.sum(tf.nn.softmax(np.float32(row[:2]))) <= largest
    )
    game = game_of(2, "float32")
    policies = policies_of(game, "logits")
    policies[0].set_weights([np.tile(logits, [7, 1])])
    table = (
        ExactObjective(game, policies)
        .actors[0]
        .log_prob_table(
            dice_tf.models.seat_models.Weights(
                [policies[0].get_weights()[0]], []
            )
        )
    )
    assert np.cumsum(np.exp(table[0]))[1] <= np.float32(largest)
    monkeypatch.setattr(
        dice_tf.play.rollouts,
        "uniform",
        lambda _, shape, dtype: tf.fill(shape, largest),
    )
    monkeypatch.setattr(
        dice_tf.play.finite_rollouts,
        "as_uniform",
        lambda bits, dtype: tf.fill(bits.shape, largest),
    )
    objective = DiCEObjective(wrap(game), policies, 0.9, 4)
    play = objective.play(objective.initial_params(), [1, 2])
    assert np.all(play.trajectory.actions[0] == 1)


# --- Looking for NaN --------------------------------------------------------


@pytest.fixture
def checked_numerics():
    tf.debugging.enable_check_numerics()
    yield
    tf.debugging.disable_check_numerics()


@pytest.mark.parametrize("shape", [(6, 4), (150, 3)])
def test_estimators_compute_nothing_that_is_infinite(checked_numerics, shape):
    rng = np.random.default_rng(3)
    log_probs = tf.constant(-(rng.normal(size=shape) ** 2))
    rewards, values = rng.normal(size=(2, *shape))
    per_step = np.where(rng.uniform(size=shape) < 0.1, 0.0, 0.9)
    cases = [
        (dice_tf.dice_objective, None),
        (dice_tf.dice_objective, "leave_one_out"),
        (dice_tf.dice_objective, values),
        (estimators.surrogate_objective, values),
        (estimators.first_order_baseline_objective, values),
        (estimators.loaded_dice_objective, values),
    ]
    for function, baseline in cases:
        for discount in (0.9, per_step):

            def gradient(function=function, baseline=baseline, d=discount):
                with tf.GradientTape() as tape:
                    tape.watch(log_probs)
                    result = function(
                        log_probs, rewards, discount=d, baseline=baseline
                    )
                return tape.gradient(result, log_probs)

            assert np.all(np.isfinite(gradient()))


@pytest.mark.parametrize("build", [masked_game, game_of])
def test_a_training_step_computes_nothing_that_is_infinite(
    checked_numerics, build
):
    game = build(3, dtype="float32")
    policies = tabular_policies(game)
    trainer = dice_tf.Trainer(
        DiCEObjective(game, policies, 0.9, 8, "state_values"),
        [LOLADiCE(1, 0.5), Naive()],
        entropy_coefficient=0.1,
    )
    trainer.compile(jit_compile=False)
    trainer.fit(verbose=0)
    assert np.all(np.isfinite(trainer.curves))


def test_an_infinite_horizon_computes_nothing_that_is_infinite(
    checked_numerics,
):
    game = game_of(dtype="float32")
    objective = ExactObjective(game, tabular_policies(game), 0.9, None)
    params = objective.initial_params()
    gradient = tf.function(
        lambda: LOLADiCE(1, 0.5).gradient(objective, params, 0, None),
        autograph=False,
    )
    assert np.all(np.isfinite(gradient()[0]))


def test_chances_of_rows_that_differ_in_number_are_finite(checked_numerics):
    """One joint action leaves a single state to chance, the others three."""
    transitions = np.full((3, 3, 2, 3), [0.2, 0.3, 0.5])
    transitions[0, 0, 0] = [0.0, 1.0, 0.0]
    game = masked_game(4, dtype="float32", transitions=transitions)
    zeros = tf.zeros([5], tf.int32)
    sample = tf.function(
        lambda: game.step(zeros, (zeros, zeros), tf.constant([1, 2]))[0],
        autograph=False,
    )
    np.testing.assert_array_equal(sample(), np.ones(5))
