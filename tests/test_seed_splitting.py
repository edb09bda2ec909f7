"""How seeds are split: no two alike, and nothing to be seen of the parent."""

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.kernels.philox import draw_many
from dice_tf.seeds import as_uniform, child_keys, make_seed, private_seed
from dice_tf.training.iteration import iteration_seeds, seeds_of_runs
from tests.graphs import operations_with_calls

MODULUS = 2**62
STEP = 0x9E3779B97F4A7C15
ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
LAST_SHIFT = 31


def random_keys(num, seed=0):
    words = np.random.default_rng(seed).integers(2**31, size=[num, 2])
    return tf.constant(words, tf.int32)


def grid_keys(size, shift=(0, 0)):
    """Seeds as people write them: `[s, i]` for all small s and i."""
    first, second = np.meshgrid(np.arange(size), np.arange(size))
    pairs = np.stack([first.ravel(), second.ravel()], axis=-1) + shift
    return tf.constant(pairs, tf.int32)


def keys_of_runs(run_seeds, iterations):
    """The seeds that a trainer gives, `[num_iterations, num_runs, 2]`."""
    seeds = iteration_seeds(
        seeds_of_runs(run_seeds), tf.constant(iterations), draw_many
    )
    return tf.reshape(seeds.keys, [len(iterations), len(run_seeds), 2])


def count_repeated(keys):
    """Returns how many of many seeds are there already."""
    words = np.reshape(keys, [-1, 2]).astype(np.uint64)
    assert words.max() < 2**31
    both = words[:, 0] | words[:, 1] << np.uint64(32)
    return len(both) - len(np.unique(both))


def slow_child(key, number):
    """One child, with whole numbers of Python."""
    first, second = key
    state = (first + 2**31 * second + number * STEP) % MODULUS
    for shift, factor in ROUNDS:
        state = (state ^ state >> shift) * factor % MODULUS
    state ^= state >> LAST_SHIFT
    return [state % 2**31, state // 2**31]


def slow_parent(key, number):
    """The parent of a child, from its last step to its first."""

    def unfold(state, shift):
        found = state
        for _ in range(62 // shift):
            found = state ^ found >> shift
        return found

    first, second = key
    state = unfold(first + 2**31 * second, LAST_SHIFT)
    for shift, factor in reversed(ROUNDS):
        state = unfold(state * pow(factor, -1, MODULUS) % MODULUS, shift)
    state = (state - number * STEP) % MODULUS
    return [state % 2**31, state // 2**31]


NUMBERS = [0, 1, 2, 17, 2**24, 2**31 - 1]


def test_children_are_those_of_the_formula():
    keys = random_keys(50)
    for number, children in zip(
        [*NUMBERS, -1], child_keys(keys, [*NUMBERS, -1]).numpy(), strict=True
    ):
        expected = [slow_child(key, number) for key in keys.numpy().tolist()]
        assert children.tolist() == expected


def test_the_parent_can_be_told_from_a_child():
    """So no two seeds have the same child of a number: a bijection."""
    keys = np.concatenate([random_keys(50), grid_keys(4), [[2**31 - 1] * 2]])
    for number, children in zip(
        NUMBERS, child_keys(keys, NUMBERS).numpy(), strict=True
    ):
        found = [slow_parent(child, number) for child in children.tolist()]
        assert found == keys.tolist()


@pytest.mark.parametrize("way", ["graph", "xla", "vectorized", "both"])
@pytest.mark.parametrize("is_tensor", [False, True])
def test_children_are_the_same_however_they_are_computed(way, is_tensor):
    keys = random_keys(30)
    numbers = tf.constant(NUMBERS) if is_tensor else NUMBERS

    def split(keys, numbers):
        if way in ("graph", "xla"):
            return child_keys(keys, numbers)
        mapped = tf.vectorized_map(lambda key: child_keys(key, numbers), keys)
        return tf.transpose(mapped, [1, 0, 2])

    compiled = tf.function(split, jit_compile=way in ("xla", "both"))
    found = compiled(keys, numbers)
    np.testing.assert_array_equal(found, child_keys(keys, numbers))
    if way == "vectorized":
        graph = compiled.get_concrete_function(keys, numbers).graph
        operations = operations_with_calls(graph)
        assert not [name for name in operations if "While" in name]


@pytest.mark.parametrize(
    ("keys", "numbers"),
    [
        (random_keys(1), np.arange(1, 1_000_001)),
        (random_keys(1_000), np.arange(1, 1_001)),
        (grid_keys(500), np.arange(1, 5)),
        (grid_keys(1_000), [-1]),
    ],
    ids=["one", "many", "small_numbers", "private"],
)
def test_a_million_children_are_all_different(keys, numbers):
    children = child_keys(keys, numbers)
    assert count_repeated(children) == 0
    family = np.concatenate([np.reshape(children, [-1, 2]), keys])
    assert count_repeated(family) == 0


BASE_SEEDS = range(400_000)


@pytest.fixture(scope="module")
def run_keys():
    return tf.constant(np.stack(list(map(make_seed, BASE_SEEDS))))


def test_no_two_of_many_base_seeds_collide(run_keys):
    """Nor do their iterations, the turns in these, and what is split there."""
    assert count_repeated(run_keys) == 0
    iterations = keys_of_runs(BASE_SEEDS, [0, 1])
    np.testing.assert_array_equal(iterations, child_keys(run_keys, [0, 1]))
    assert count_repeated(iterations) == 0
    assert count_repeated(child_keys(iterations, [0, 1, -1])) == 0


def test_words_of_many_base_seeds_are_alike_as_often_as_by_chance(run_keys):
    num = len(BASE_SEEDS)
    expected = num * (num - 1) / 2 / 2**31
    for keys in (run_keys, child_keys(run_keys, [0])[0]):
        for word in range(2):
            repeated = num - len(np.unique(keys.numpy()[:, word]))
            assert abs(repeated - expected) < 4.5 * np.sqrt(expected)


def test_turns_stay_apart_at_the_largest_iterations():
    """In int32, three times such a number would wrap around."""
    last = 2**31 - 1
    seeds = iteration_seeds(
        seeds_of_runs([0, 1]),
        tf.constant([0, 1, last // 3, last - 1, last]),
        draw_many,
    )
    turns = [seeds.of_turn(player_id).keys for player_id in range(3)]
    assert count_repeated(tf.stack([*turns, seeds.keys])) == 0


def bits_of(keys):
    """Returns the 62 bits of each seed as +1 and -1, `[num, 62]`."""
    words = np.reshape(keys, [-1, 2, 1])
    bits = words >> np.arange(31) & 1
    return 1.0 - 2.0 * np.reshape(bits, [len(words), 62])


SIZE = 256
# Pairs of many seeds, whose bits must have nothing in common.
PAIRS = {
    "parent_and_child": lambda: (
        random_keys(SIZE**2),
        child_keys(random_keys(SIZE**2), [1])[0],
    ),
    "siblings": lambda: child_keys(grid_keys(SIZE), [1, 2]),
    "private_and_first": lambda: child_keys(grid_keys(SIZE), [-1, 1]),
    "child_and_grandchild": lambda: (
        child_keys(grid_keys(SIZE), [1])[0],
        child_keys(child_keys(grid_keys(SIZE), [1])[0], [1])[0],
    ),
    "children_of_the_next_first_word": lambda: (
        child_keys(grid_keys(SIZE), [1])[0],
        child_keys(grid_keys(SIZE, [1, 0]), [1])[0],
    ),
    "children_of_the_next_second_word": lambda: (
        child_keys(grid_keys(SIZE), [1])[0],
        child_keys(grid_keys(SIZE, [0, 1]), [1])[0],
    ),
    "runs": lambda: (
        keys_of_runs(range(SIZE), range(SIZE)),
        keys_of_runs(range(1, SIZE + 1), range(SIZE)),
    ),
    "iterations": lambda: (
        keys_of_runs(range(SIZE), range(SIZE)),
        keys_of_runs(range(SIZE), range(1, SIZE + 1)),
    ),
    "base_seeds": lambda: (
        [make_seed(seed) for seed in range(SIZE**2)],
        [make_seed(seed + 1) for seed in range(SIZE**2)],
    ),
}


def assert_chi_squared(squares):
    """Of squared scores, each of one degree of freedom."""
    excess = np.sum(squares) - np.size(squares)
    assert abs(excess) < 4.5 * np.sqrt(2 * np.size(squares))


@pytest.mark.parametrize("name", PAIRS)
def test_bits_of_related_seeds_are_independent(name):
    one, two = map(bits_of, PAIRS[name]())
    num = len(one)
    # Each bit is as often 0 as 1, and changes as often as it stays.
    assert_chi_squared(np.sum(two, axis=0) ** 2 / num)
    assert_chi_squared(np.sum(one * two, axis=0) ** 2 / num)
    # No bit tells another one, of the other seed or of the same.
    assert_chi_squared((one.T @ two) ** 2 / num)
    within = (two.T @ two)[np.triu_indices(62, 1)]
    assert_chi_squared(within**2 / num)


@pytest.mark.parametrize("name", PAIRS)
def test_uniforms_of_related_seeds_are_independent(name):
    one, two = (
        as_uniform(
            draw_many(tf.reshape(keys, [-1, 2])[:1_000], [64]), "float64"
        )
        for keys in PAIRS[name]()
    )
    one, two = np.ravel(one), np.ravel(two)
    num = one.size
    assert abs(np.corrcoef(one, two)[0, 1]) < 4.5 / np.sqrt(num)
    assert abs(np.corrcoef(one**2, two**2)[0, 1]) < 4.5 / np.sqrt(num)
    counts, *_ = np.histogram2d(one, two, bins=16, range=[[0, 1], [0, 1]])
    mean = num / 256
    excess = np.sum((counts - mean) ** 2 / mean) - 255
    assert abs(excess) < 4.5 * np.sqrt(2 * 255)


def test_a_private_seed_is_none_of_the_children():
    seed = [3, 4]
    others = child_keys(tf.constant(seed), np.arange(1_000_000))
    family = np.concatenate([others, [private_seed(seed)]])
    assert count_repeated(family) == 0
