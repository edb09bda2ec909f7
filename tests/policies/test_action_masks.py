"""Masked distributions: what is illegal has probability 0, exactly."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from dice_tf.distributions import all_log_probs
from dice_tf.play.actors import Actor
from dice_tf.policies import bernoulli, categorical
from dice_tf.policies.action_masks import (
    carried_mask,
    masked_head,
    seat_mask,
    seated,
)
from dice_tf.policies.sampling import sample_actions
from tests.toys import Plain, Pursuit, masked_game

# Illegal first, in between, last, nowhere, and all but one.
MASK = np.array(
    [
        [False, True, True, True],
        [True, False, False, True],
        [True, True, True, False],
        [True, True, True, True],
        [False, False, True, False],
    ]
)
SIZES = {"categorical": 4, "mixture": 3, "bernoulli": 2}


def mixture(outputs):
    """A head that is neither of ours, and holds no logits of its actions."""
    parts = tf.reshape(outputs, [*outputs.shape[:-1], 2, 3])
    chances = tf.constant([0.3, 0.7], outputs.dtype)
    return tfp.distributions.MixtureSameFamily(
        tfp.distributions.Categorical(probs=chances), categorical(parts)
    )


HEADS = {
    "categorical": (categorical, 4),
    "mixture": (mixture, 6),
    "bernoulli": (bernoulli, 1),
}


def setting(name, dtype="float64"):
    """A head, random outputs, and which of its actions are legal."""
    head, num_outputs = HEADS[name]
    rng = np.random.default_rng(2)
    outputs = rng.normal(scale=2.0, size=(len(MASK), num_outputs))
    legal = MASK[:, : SIZES[name]].copy()
    # Of the first columns something is left.
    legal[~legal.any(axis=1), -1] = True
    return head, tf.constant(outputs, dtype), legal


def masked_log_probs(head, legal):
    """From outputs to log-probabilities `[n, A]`, masked."""
    read = masked_head(head, lambda observations: tf.constant(legal))
    return lambda outputs: all_log_probs(read(outputs, None), legal.shape[-1])


@pytest.mark.parametrize("jit_compile", [None, False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", HEADS)
def test_what_is_illegal_has_probability_0_the_rest_is_renormalised(
    name, dtype, jit_compile
):
    head, outputs, legal = setting(name, dtype)
    function = masked_log_probs(head, legal)
    if jit_compile is not None:
        function = tf.function(function, jit_compile=jit_compile)
    probabilities = np.exp(function(outputs))
    assert np.all(probabilities[~legal] == 0.0)
    plain = np.exp(all_log_probs(head(outputs), legal.shape[-1])) * legal
    plain /= plain.sum(axis=1, keepdims=True)
    rtol = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(probabilities, plain, rtol=rtol)


def test_half_precision_has_masks_too():
    head, outputs, legal = setting("categorical", "float16")
    probabilities = np.exp(masked_log_probs(head, legal)(outputs))
    assert np.all(probabilities[~legal] == 0.0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-2)


# --- Derivatives ------------------------------------------------------------


def softmax_derivatives(logits, other, action):
    """Values, gradients and Hessians in logits that are all legal.

    Of log p_a, of the entropy, and of KL(p || q), `q` held constant:
      d log p_a = e_a - p,                  D2 = -(diag p - p p')
      dH_k = -p_k (l_k + H)
      dKL_k = p_k (l_k - m_k - KL)          with l = log p, m = log q
    and the Hessian of `f = sum_k p_k g_k` with `g = l - m` (m = 0, and the
    sign turned, for the entropy) from `dp = diag p - p p'`:
      D2_kj = dp_kj (g_k - f) + p_k (delta_kj - p_j) - p_k df_j.
    """
    p = np.exp(logits) / np.exp(logits).sum()
    q = np.exp(other) / np.exp(other).sum()
    eye = np.eye(len(p))
    dp = np.diag(p) - np.outer(p, p)

    def mean_of(g):
        f = p @ g
        df = p * (g - f)
        hessian = (
            dp * (g - f)[:, np.newaxis]
            + p[:, np.newaxis] * (eye - p)
            - np.outer(p, df)
        )
        return f, df, hessian

    entropy = tuple(-order for order in mean_of(np.log(p)))
    divergence = mean_of(np.log(p) - np.log(q))
    return (np.log(p[action]), eye[action] - p, -dp), entropy, divergence


@pytest.mark.parametrize("jit_compile", [False, True])
def test_derivatives_are_those_of_the_legal_actions_alone(jit_compile):
    """To the second order: log-probability, entropy and divergence."""
    _, outputs, legal = setting("categorical")
    others = tf.constant(np.random.default_rng(5).normal(size=legal.shape))
    masked = masked_log_probs(categorical, legal)
    actions = legal.argmax(axis=1)

    def log_prob(x):
        return tf.gather(masked(x), actions, batch_dims=1)

    def entropy(x):
        table = masked(x)
        return -tf.reduce_sum(tf.exp(table) * table, axis=-1)

    def divergence(x):
        table = masked(x)
        return tf.reduce_sum(tf.exp(table) * (table - masked(others)), axis=-1)

    kinds = (log_prob, entropy, divergence)

    @tf.function(jit_compile=jit_compile)
    def derivatives(x):
        with tf.GradientTape() as second:
            second.watch(x)
            with tf.GradientTape() as first:
                first.watch(x)
                parts = zip(kinds, tf.split(x, len(kinds)), strict=True)
                values = tf.concat([kind(part) for kind, part in parts], axis=0)
            gradients = first.gradient(values, x)
        return values, gradients, second.batch_jacobian(gradients, x)

    found = [
        np.split(order, len(kinds))
        for order in derivatives(tf.tile(outputs, [len(kinds), 1]))
    ]
    for row, (places,) in enumerate(map(np.nonzero, legal)):
        expected = softmax_derivatives(
            outputs.numpy()[row, places],
            others.numpy()[row, places],
            list(places).index(actions[row]),
        )
        for order, (value, gradient, hessian) in enumerate(expected):
            gradients, hessians = np.zeros(4), np.zeros((4, 4))
            gradients[places] = gradient
            hessians[np.ix_(places, places)] = hessian
            for kind, wanted in zip(
                found, (value, gradients, hessians), strict=True
            ):
                np.testing.assert_allclose(kind[order][row], wanted, atol=1e-12)


# --- Sampling ---------------------------------------------------------------


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_noise_chooses_what_is_illegal(dtype, jit_compile):
    """Rounded sums of probabilities may stay below 1, and noise come near."""
    rng = np.random.default_rng(0)
    legal = rng.integers(2, size=(5000, 6)).astype(bool)
    legal[np.arange(5000), rng.integers(5, size=5000)] = True
    outputs = tf.constant(rng.normal(scale=3.0, size=legal.shape), dtype)
    table = masked_log_probs(categorical, legal)(outputs)
    sample = tf.function(sample_actions, jit_compile=jit_compile)
    largest = np.nextafter(np.ones([], dtype), np.zeros([], dtype))
    sums = np.cumsum(np.exp(table), axis=1)
    assert np.any(sums[:, -1] <= largest)
    noises = [np.zeros(5000), np.full(5000, largest), *sums.T[:-1]]
    for noise in noises:
        noise = tf.constant(np.minimum(noise, largest), dtype)
        actions = sample(table, noise)
        assert np.all(legal[np.arange(5000), actions])


def test_legal_actions_are_chosen_as_often_as_they_should():
    _, outputs, legal = setting("categorical")
    table = masked_log_probs(categorical, legal)(outputs)
    noise = np.random.default_rng(0).uniform(size=(20_000, len(legal)))
    actions = sample_actions(table, tf.constant(noise)).numpy()
    for row, chances in enumerate(np.exp(table)):
        rates = np.bincount(actions[:, row], minlength=4) / 20_000
        errors = np.sqrt(chances * (1 - chances) / 20_000)
        assert np.all(np.abs(rates - chances) <= 4 * errors + 1e-12)


def test_a_single_action_is_chosen():
    actions = sample_actions(tf.zeros([5, 1]), tf.fill([5], 0.7))
    np.testing.assert_array_equal(actions, np.zeros(5))


# --- Policies in seats ------------------------------------------------------


@pytest.mark.parametrize("player_id", [0, 1])
def test_a_seat_masks_any_policy_by_state_and_by_observation(player_id):
    game = masked_game()
    policy = dice_tf.policies.mlp(game, player_id, hidden_units=[3])
    actor = Actor(game, policy, player_id)
    table = np.exp(actor.log_prob_table(actor.model.weights()))
    legal = game.action_masks[player_id]
    assert np.all((table > 0.0) == legal)
    seen = tf.one_hot([[0, 1], [2, 2], [1, 0]], 3, dtype=tf.float64)
    distribution = actor.distribution(actor.model.weights(), seen)
    np.testing.assert_allclose(
        np.exp(all_log_probs(distribution, game.num_actions[player_id])),
        table[[[0, 1], [2, 2], [1, 0]]],
    )
    step, _ = actor.step(actor.model.weights(), seen[0], [])
    np.testing.assert_allclose(step.probs_parameter(), table[[0, 1]])


def test_without_masks_a_graph_is_as_it_would_be_without_them():
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    policy = dice_tf.policies.tabular(game, 0)
    actor = Actor(game, policy, 0)
    weights = actor.model.weights()
    seen = tf.TensorSpec([4, 5])

    def operations(function):
        graph = tf.function(function).get_concrete_function(seen).graph
        return [operation.type for operation in graph.get_operations()]

    def plain(x):
        return bernoulli(actor.model(weights, x)).log_prob(1)

    def in_a_seat(x):
        # Taking it costs nothing, too.
        assert seat_mask(game, 0) is None
        return actor.distribution(weights, x).log_prob(1)

    assert operations(in_a_seat) == operations(plain)
    assert carried_mask(policy) is None


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_policy_carries_the_mask_of_its_first_seat(is_ours):
    game, other = masked_game(), [np.ones((3, n), bool) for n in (3, 2)]
    policy = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    if is_ours:
        policy = dice_tf.policies.tabular(game, 0)
    else:
        Actor(masked_game(2, "float32", action_masks=None), policy, 0)
        assert carried_mask(policy) is None
        Actor(masked_game(2, "float32"), policy, 0)
    seen = tf.eye(3, dtype=policy.dtype)
    first = carried_mask(policy)
    np.testing.assert_array_equal(first(seen), game.action_masks[0])
    assert seated(policy, masked_game(action_masks=other), 0) is policy
    assert carried_mask(policy) is first


class Masked(Plain):
    """A game whose mask is what it is told."""

    def __init__(self, mask):
        super().__init__(masked_game())
        self.mask = mask

    def legal_actions(self, observations, player_id):
        return self.mask(observations)


@pytest.mark.parametrize(
    "mask, message",
    [
        (lambda seen: tf.ones([1, 3]), r"bool of shape \(1, 3\).*float32 of"),
        (lambda seen: np.ones([1, 4], bool), r"Received: bool of shape \(1, 4"),
        (lambda seen: np.ones([3], bool), r"Received: bool of shape \(3,\)"),
    ],
)
def test_a_mask_of_another_kind_is_refused(mask, message):
    game = Masked(mask)
    with pytest.raises(ValueError, match=message):
        Actor(game, dice_tf.policies.tabular(game, 0), 0)


def test_a_mask_that_does_not_follow_the_leading_axes_is_refused():
    game = Masked(lambda seen: np.ones([1, 3], bool))
    actor = Actor(game, dice_tf.policies.tabular(game, 0), 0)
    with pytest.raises(ValueError, match=r"shape \(4, 2, 3\) for player 0"):
        actor.distribution(
            actor.model.weights(), tf.zeros([4, 2, 3], tf.float64)
        )


def test_only_finitely_many_actions_have_masks():
    class Bounded(Pursuit):
        def legal_actions(self, observations, player_id):
            return tf.ones([1, 1], tf.bool)

    with pytest.raises(ValueError, match="must return None for player 1"):
        seat_mask(Bounded(), 1)
