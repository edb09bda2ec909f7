"""Stateless randomness."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from dice_tf import seeds
from dice_tf.seeds import (
    HoistedSeed,
    as_seed,
    child_seeds,
    child_tensors,
    make_seed,
    num_runs_of,
    private_seed,
    seed_tensor,
    split_seed,
    uniform,
)

SEEDS = [[0, 0], [0, 1], [1, 0], [7, 123456], [2**31 - 1, 2**31 - 1], [-3, -1]]


def split_and_draw(seed):
    """Splits twice and draws from the children, as an objective does."""
    first, second, third = split_seed(seed, 3)
    inner = split_seed(third, 2)
    return (
        uniform(private_seed(second), [2]),
        uniform(first, [3, 4]),
        uniform(second, [5], tf.float64),
        uniform(inner[1], [2, 3]),
        seed_tensor(inner[0]),
    )


@pytest.mark.parametrize("jit_compile", [False, True])
def test_seeds_and_draws_are_the_same_eagerly_and_compiled(jit_compile):
    compiled = tf.function(split_and_draw, jit_compile=jit_compile)
    for seed in tf.constant(SEEDS):
        for one, other in zip(
            split_and_draw(seed), compiled(seed), strict=True
        ):
            np.testing.assert_array_equal(one, other)


def test_descendants_of_seeds_are_distinct_and_not_negative():
    found = []
    for seed in itertools.product(range(8), range(8)):
        children = split_seed(seed, 20)
        children.append(private_seed(seed))
        found.extend(tuple(child.numpy()) for child in children)
        for child in children[:2]:
            found.extend(
                tuple(grandchild.numpy()) for grandchild in split_seed(child, 3)
            )
    assert len(set(found)) == len(found)
    assert np.min(found) >= 0


def test_the_seed_of_a_number_stays_what_it_is():
    """Results of a seed can be had again with later versions."""
    assert make_seed(0).dtype == np.int32
    np.testing.assert_array_equal(make_seed(0), [670783465, 1314106996])
    np.testing.assert_array_equal(make_seed(1), [931617611, 3974587])
    numbers = (2**200, 5)
    np.testing.assert_array_equal(make_seed(*numbers), [2337891, 364172541])


def test_numbers_of_any_size_have_seeds_of_their_own():
    sizes = (0, 1, 31, 32, 63, 64, 128, 1000)
    numbers = [(2**size + i,) for size in sizes for i in range(-1, 2)]
    # Leading words of zeros, and where a number ends, count too.
    numbers += [(1, 0), (0, 1), (2, 0), (0, 2), (0, 0), (2**32, 1), (1, 2**32)]
    numbers += [(16, 1), (1, 16), (1, 1, 6), ()]
    found = {tuple(make_seed(*each).tolist()) for each in numbers}
    assert len(found) == len(set(numbers))
    assert np.min(list(found)) >= 0 and np.max(list(found)) < 2**31


def test_whole_numbers_of_numpy_are_those_of_python():
    for kind in (np.int8, np.int64, np.uint64):
        np.testing.assert_array_equal(make_seed(kind(7)), make_seed(7))


@pytest.mark.parametrize("number", [1.0, "1", None, True, [1, 2]])
def test_what_is_not_a_whole_number_has_no_seed(number):
    with pytest.raises(TypeError, match="`numbers` must be a whole number"):
        make_seed(3, number)
    with pytest.raises(ValueError, match="`numbers` must be at least 0"):
        make_seed(3, -1)


def test_more_children_begin_with_the_same_ones():
    few, many = split_seed([3, 4], 2), split_seed([3, 4], 7)
    np.testing.assert_array_equal(tf.stack(few), tf.stack(many[:2]))


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_uniforms_have_the_moments_of_their_distribution(dtype):
    size = 200_000
    draws = uniform([5, 6], [size], dtype).numpy().astype(np.float64)
    assert uniform([5, 6], [2], dtype).dtype == dtype
    assert draws.min() >= 0.0 and draws.max() < 1.0
    # Of a uniform: mean 1/2, variance 1/12, fourth central moment 1/80.
    assert abs(draws.mean() - 1 / 2) < 4 * np.sqrt(1 / 12 / size)
    spread = np.sqrt((1 / 80 - 1 / 144) / size)
    assert abs(draws.var() - 1 / 12) < 4 * spread
    counts, _ = np.histogram(draws, bins=64, range=(0.0, 1.0))
    chi_squared = np.sum((counts - size / 64) ** 2 / (size / 64))
    assert abs(chi_squared - 63) < 4 * np.sqrt(2 * 63)


def test_uniforms_of_siblings_are_uncorrelated():
    size, children = 20_000, split_seed([1, 2], 5)
    children += split_seed([1, 3], 2) + split_seed([2, 2], 2)
    draws = [uniform(child, [size]).numpy() for child in children]
    for one, other in itertools.combinations(draws, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 4.5 / np.sqrt(size)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_uniforms_are_never_1(monkeypatch, dtype):
    def largest_bits(key, shape):
        return tf.fill(shape, tf.constant(2**32 - 1, tf.uint32))

    monkeypatch.setattr(seeds, "_draw_bits", largest_bits)
    assert 0.9999 < uniform([0, 1], [], dtype).numpy() < 1.0


def hoisted_function(num_runs):
    """A function of keys, whose inner part is compiled by XLA."""

    @tf.function
    def outer(keys):
        @tf.function(jit_compile=True)
        def inner():
            if num_runs == 1:
                return split_and_draw(HoistedSeed(keys, 0))
            return tf.vectorized_map(
                lambda run: split_and_draw(HoistedSeed(keys, run)),
                tf.range(num_runs),
            )

        return inner()

    return outer


@pytest.mark.parametrize("num_runs", [1, 4])
def test_hoisted_seeds_draw_what_plain_ones_draw(num_runs):
    outer = hoisted_function(num_runs)
    keys = tf.constant([[10 + run, 3] for run in range(num_runs)])
    results = outer(keys)
    for run in range(num_runs):
        plain = split_and_draw(keys[run])
        for one, all_runs in zip(plain, results, strict=True):
            of_run = all_runs if num_runs == 1 else all_runs[run]
            np.testing.assert_array_equal(one, of_run)


def test_hoisted_seeds_draw_outside_of_the_xla_computation():
    outer = hoisted_function(3)
    keys = tf.constant([[1, 2], [3, 4], [5, 6]])
    graph = outer.get_concrete_function(keys).graph
    bodies = {
        function.signature.name: function.node_def
        for function in graph.as_graph_def().library.function
    }
    operations = graph.get_operations()
    calls = [op for op in operations if "PartitionedCall" in op.type]
    assert any("Random" in op.type for op in operations) and calls
    for call in calls:
        nodes = bodies[call.get_attr("f").name]
        assert not [node.op for node in nodes if "Random" in node.op]


def test_a_hoisted_seed_passes_for_a_seed():
    @tf.function
    def run(keys):
        seed = HoistedSeed(keys, 1)
        assert as_seed(seed) is seed
        return seed_tensor(seed)

    keys = tf.constant([[1, 2], [3, 4]])
    np.testing.assert_array_equal(run(keys), [3, 4])


@pytest.mark.parametrize("seed", [3, [3], [1, 2, 3], [[1, 2]]])
def test_a_seed_of_another_shape_is_refused(seed):
    for function in (as_seed, seed_tensor, lambda s: split_seed(s, 2)):
        with pytest.raises(ValueError, match="`seed` must be an int32 tensor"):
            function(seed)
    with pytest.raises(ValueError, match=r"of shape \[2\].*Received shape"):
        uniform(seed, [3])


@pytest.mark.parametrize("seed", [3, 2**31, 2**128])
def test_the_error_tells_how_to_make_a_seed_of_a_number(seed):
    with pytest.raises(ValueError, match=r"dice_tf.seeds.make_seed\(7\), of a"):
        uniform(seed, [3])
    assert uniform(make_seed(seed), [3]).shape == [3]


def test_child_seeds_of_a_map_are_those_of_a_split():
    seed = tf.constant([5, 6])
    expected = [uniform(child, [4]) for child in split_seed(seed, 3)]

    @tf.function
    def mapped():
        seed_of = child_seeds(seed, 3)
        return tf.vectorized_map(
            lambda child: uniform(seed_of(child), [4]), tf.range(3)
        )

    np.testing.assert_array_equal(mapped(), expected)
    seed_of = child_seeds(seed, 3)
    for child, draw in enumerate(expected):
        np.testing.assert_array_equal(uniform(seed_of(child), [4]), draw)


def test_child_seeds_of_hoisted_seeds_are_those_of_each_run():
    keys = tf.constant([[10, 3], [11, 3]])

    @tf.function
    def outer(keys):
        def run_of(run):
            seed = HoistedSeed(keys, run)
            assert num_runs_of(seed) == 2
            seed_of = child_seeds(seed, 3)
            return tf.vectorized_map(
                lambda child: uniform(seed_of(child), [4]), tf.range(3)
            )

        @tf.function(jit_compile=True)
        def inner():
            return tf.vectorized_map(run_of, tf.range(2))

        return inner()

    found = outer(keys)
    for run in range(2):
        expected = [uniform(child, [4]) for child in split_seed(keys[run], 3)]
        np.testing.assert_array_equal(found[run], expected)
    assert num_runs_of(keys[0]) == 1


def test_child_tensors_are_those_of_a_split():
    @tf.function(autograph=False)
    def hoisted():
        seed = HoistedSeed(tf.constant(SEEDS), 3)
        return tf.function(
            lambda: child_tensors(seed, 4), autograph=False, jit_compile=True
        )()

    expected = [seed_tensor(child) for child in split_seed(SEEDS[3], 4)]
    np.testing.assert_array_equal(child_tensors(SEEDS[3], 4), expected)
    np.testing.assert_array_equal(hoisted(), expected)
