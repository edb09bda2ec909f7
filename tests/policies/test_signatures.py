"""Drawing in a served graph, beside its plain reference."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.policies import signatures
from dice_tf.policies.sampling import (
    FEW_ACTIONS,
    rounding_slack,
    sample_actions,
)
from dice_tf.seeds import uniform_of_each


def read_of(log_probs):
    probabilities = tf.exp(log_probs)
    mark = tf.zeros_like(probabilities[:, 0])
    return signatures.Reading(log_probs, probabilities, mark)


def log_probs_of(num_actions, dtype):
    """Policies of all kinds: mixed, sharp, with impossible actions."""
    rng = np.random.default_rng(num_actions)
    logits = rng.normal(size=[3000, num_actions]) * rng.choice(
        [0.1, 1.0, 30.0], size=[3000, 1]
    )
    impossible = rng.uniform(size=logits.shape) < 0.3
    impossible[:, 0] &= ~impossible.all(axis=1)
    logits[impossible] = -np.inf
    return tf.nn.log_softmax(tf.constant(logits, dtype))


def noise_of(log_probs):
    """Noise of all kinds: uniform, 0, the largest, and the thresholds."""
    rng = np.random.default_rng(1)
    noise = rng.uniform(size=len(log_probs))
    noise[:100], noise[100:200] = 0.0, 1.0 - 2.0**-24
    noise[200:1000] = np.exp(log_probs)[200:1000, 0]
    noise = tf.constant(noise, log_probs.dtype)
    return tf.where(noise < 1.0, noise, 1.0 - 2.0**-24)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("num_actions", [2, 3, 5, 40])
@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_the_actions_are_those_of_the_reference(
    num_actions, dtype, jit_compile
):
    log_probs = log_probs_of(num_actions, dtype)
    noise = noise_of(log_probs)

    def both(log_probs, noise):
        found = signatures.choose(read_of(log_probs), noise)
        return found, sample_actions(log_probs, noise)

    # XLA rounds exponentials otherwise, so that it computes both.
    if jit_compile is not None:
        both = tf.function(both, jit_compile=jit_compile)
    found, expected = both(log_probs, noise)
    np.testing.assert_array_equal(found["action"], expected)
    chosen = tf.gather(log_probs, expected, batch_dims=1)
    np.testing.assert_array_equal(found["log_prob"], chosen)
    assert np.all(np.isfinite(chosen))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("num_actions", [2, 5, 40])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_noise_above_the_sum_chooses_the_last_possible_action(
    num_actions, dtype, jit_compile
):
    log_probs = log_probs_of(num_actions, dtype).numpy()
    # Sums behind the last possible action may be rounded otherwise.
    log_probs[1000:, 1 + num_actions // 2 :] = -np.inf
    log_probs[:, 0] = np.maximum(log_probs[:, 0], -30.0)
    log_probs = tf.nn.log_softmax(log_probs).numpy()
    # Some threads take the smallest of numbers for 0.
    log_probs[np.exp(log_probs) < np.finfo(dtype).tiny] = -np.inf

    @tf.function(jit_compile=jit_compile)
    def choose(log_probs, noise):
        return signatures.choose(read_of(log_probs), noise)

    are_possible = np.exp(log_probs) > 0.0
    last = num_actions - 1 - np.argmax(are_possible[:, ::-1], axis=1)
    above = tf.fill([len(log_probs)], tf.constant(1.001, dtype))
    np.testing.assert_array_equal(choose(log_probs, above)["action"], last)
    # Some sums are above 1, and some below.
    found = choose(log_probs, tf.ones_like(above))
    assert np.all(np.isfinite(found["log_prob"]))


@pytest.mark.parametrize("num_actions", [2, 5, FEW_ACTIONS])
def test_scaled_noise_chooses_what_is_possible(num_actions):
    log_probs = log_probs_of(num_actions, "float32")
    # Impossible actions last, where the sum of all others may be below noise.
    log_probs = np.sort(log_probs, axis=1)[:, ::-1].copy()
    scale, largest = 1.0 - rounding_slack(num_actions), 1.0 - 2.0**-24
    noise = np.random.default_rng(3).uniform(size=len(log_probs))
    noise[::2] = largest
    noise = noise.astype(np.float32) * np.float32(scale)
    found = signatures.choose(read_of(tf.constant(log_probs)), noise, True)
    np.testing.assert_array_equal(
        found["action"], sample_actions(tf.constant(log_probs), noise)
    )
    assert np.all(np.isfinite(found["log_prob"]))
    sums = np.cumsum(np.exp(log_probs), axis=1)[:, -1]
    assert np.all(sums > scale * largest)
    # Without the slack, noise would be above some of them.
    assert np.any(sums <= largest)


def test_the_slack_is_small_and_exact_for_few_actions():
    for num_actions in (2, 3, 8, FEW_ACTIONS):
        slack = rounding_slack(num_actions)
        assert num_actions * 2.0**-24 < slack < 3e-6
        assert float(np.float32(1.0 - slack)) == 1.0 - slack


@pytest.mark.parametrize("num_actions", [FEW_ACTIONS, FEW_ACTIONS + 1])
@pytest.mark.parametrize("is_normalized", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_seeds_choose_by_the_noise_of_each(num_actions, is_normalized, dtype):
    log_probs = log_probs_of(num_actions, dtype)
    numbers = np.arange(len(log_probs), dtype=np.int32)
    seeds = np.stack([numbers, numbers], axis=1)
    found = signatures.choose_by_seeds(
        read_of(log_probs), tf.constant(seeds), is_normalized
    )
    noise = uniform_of_each(seeds, dtype)
    if is_normalized and num_actions <= FEW_ACTIONS and dtype == "float32":
        noise *= 1.0 - rounding_slack(num_actions)
    np.testing.assert_array_equal(
        found["action"], sample_actions(log_probs, noise)
    )


def test_probabilities_that_add_up_to_less_choose_what_is_possible():
    # As those of a distribution that rounds more than single operations do.
    log_probs = [np.log(0.6), np.log(0.399), -np.inf]
    log_probs = tf.constant([log_probs] * 20000, tf.float32)
    numbers = np.arange(20000, dtype=np.int32)
    seeds = tf.constant(np.stack([numbers, numbers], axis=1))
    assert np.any(uniform_of_each(seeds, tf.float32) > 0.9995)
    found = signatures.choose_by_seeds(read_of(log_probs), seeds, False)
    assert set(found["action"].numpy()) == {0, 1}


def test_probabilities_that_runtimes_lose_choose_an_action_that_exists():
    read = read_of(tf.fill([3, 4], -np.inf))
    found = signatures.choose(read, tf.constant([0.0, 0.5, 1.0]))
    np.testing.assert_array_equal(found["action"], [0, 0, 0])


@pytest.mark.parametrize("is_scaled", [False, True])
@pytest.mark.parametrize("what", ["mark", "log_probs", "all"])
def test_each_nan_gives_no_action(what, is_scaled):
    log_probs = log_probs_of(3, "float32")[:4]
    read, noise = read_of(log_probs), tf.fill([4], 0.4)
    bad = np.where(np.arange(4) == 2, np.nan, 0.0).astype(np.float32)
    if what == "mark":
        read = read._replace(mark=read.mark + bad)
    elif what == "log_probs":
        # Runtimes may lose the NaN of an exponential.
        read = read._replace(log_probs=read.log_probs + bad[:, np.newaxis])
    else:
        read = read_of(log_probs + bad[:, np.newaxis])
    found = signatures.choose(read, noise, is_scaled)
    expected = np.arange(4) == 2
    np.testing.assert_array_equal(found["action"] == -1, expected)
    np.testing.assert_array_equal(np.isnan(found["log_prob"]), expected)


def test_a_nan_of_one_action_is_one_of_all():
    log_probs = np.array([[-2.0, -0.1], [np.nan, -1.0], [-np.inf, 0.0]])
    found = signatures.whole_rows(tf.constant(log_probs))
    log_probs[1] = np.nan
    np.testing.assert_array_equal(found, log_probs)


def test_a_marked_row_gets_no_action_and_no_other_changes():
    log_probs = log_probs_of(3, "float32")
    noise = noise_of(log_probs)
    read = read_of(log_probs)
    marked = np.zeros(len(noise), bool)
    marked[[3, 500]] = True
    found = signatures.choose(
        read._replace(mark=tf.where(marked, np.nan, read.mark)), noise
    )
    expected = signatures.choose(read, noise)
    for key, none in (("action", -1), ("log_prob", np.nan)):
        np.testing.assert_array_equal(
            found[key], np.where(marked, none, expected[key])
        )


@pytest.mark.parametrize("size", [1, 2, 4])
def test_noise_of_another_length_is_an_error(size):
    log_probs = tf.nn.log_softmax(tf.ones([3, 2]))
    message = "must have the same size and shape"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        signatures.choose(read_of(log_probs), tf.zeros([size]))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
@pytest.mark.parametrize("shape", [[], [4], [2, 3]])
def test_rows_that_are_not_finite_are_found(shape, dtype):
    rng = np.random.default_rng(2)
    x = np.abs(100.0 * rng.normal(size=[6, *shape])).astype(dtype)
    expected = np.zeros(6)
    if dtype.startswith("float"):
        flat = x.reshape(6, -1)
        flat[0, -1], flat[3, 0], flat[4, -1] = np.nan, np.inf, -np.inf
        # Large but finite.
        flat[1] = np.finfo(dtype).max
        expected[[0, 3, 4]] = np.nan
    found = signatures.nan_of_rows(tf.constant(x), tf.float32)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == tf.float32
