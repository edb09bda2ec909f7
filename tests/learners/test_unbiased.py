"""Sampled directions are unbiased where a rule is linear in each factor."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf import learners
from dice_tf.objectives import DiCEObjective, Objective
from tests.toys import (
    ASYMMETRIC,
    exact_objective,
    random_params,
    tabular_policies,
)

DISCOUNT, LENGTH, BATCH, NUM_SEEDS = 0.9, 2, 4, 3000
PLAYER_ID, RATE = 1, 2.0
LINEAR = {
    "look_ahead": learners.LookAhead(RATE),
    "lola": learners.LOLA(RATE),
    "sos": learners.SOS(RATE, p=0.7),
    "consensus": learners.Consensus(1.0),
}
LOLA_DICE = "lola_dice"
LEARNERS = {**LINEAR, LOLA_DICE: learners.LOLADiCE(1, 15.0)}


class OneBatch(Objective):
    """The same objective that plays one batch, whatever the split."""

    def __init__(self, objective, seed):
        self.objective, self.seed = objective, seed
        self.num_players = objective.num_players

    def _values(self, params, seed, state):
        return self.objective(params, self.seed, state)


class OneStep(Objective):
    """An objective of one look-ahead, whose step is always the same.

    Args:
      imagined: sampled, the first evaluation, from one seed.
      reached: the evaluation after it.
    """

    def __init__(self, imagined, reached):
        self.imagined, self.reached = imagined, reached
        self.num_players = reached.num_players
        self._is_imagined = True

    def _values(self, params, seed, state):
        if not self._is_imagined:
            return self.reached(params, seed, state)
        self._is_imagined = False
        return self.imagined(params, [1, 5], state)


def afresh(objective, seed):
    del seed
    return objective


def from_one_step(objective, seed):
    del seed
    return OneStep(objective, objective)


@functools.cache
def sampled():
    game = dice_tf.games.iterated_matrix_game(
        ASYMMETRIC, LENGTH, dtype="float64"
    )
    return DiCEObjective(game, tabular_policies(game), DISCOUNT, BATCH)


@functools.cache
def sampled_directions(wrap, names):
    """`NUM_SEEDS` directions of each learner, `[NUM_SEEDS, size]`."""
    objective = sampled()

    @tf.function(jit_compile=True)
    def sample(seeds):
        def directions(seed):
            return {
                name: LEARNERS[name].gradient(
                    wrap(objective, seed), params(), PLAYER_ID, seed
                )[0]
                for name in names
            }

        types = dict.fromkeys(names, tf.float64)
        return tf.map_fn(directions, seeds, fn_output_signature=types)

    seeds = tf.stack([tf.range(NUM_SEEDS), tf.fill([NUM_SEEDS], 7)], axis=1)
    return {
        name: samples.numpy().reshape(NUM_SEEDS, -1)
        for name, samples in sample(seeds).items()
    }


@functools.cache
def exact():
    return exact_objective(ASYMMETRIC, DISCOUNT, LENGTH)


@functools.cache
def params():
    return random_params(exact().policies, 3)


def deviations(name, wrap, names, of=None):
    """Mean minus exact direction, in standard errors."""
    (expected,) = LEARNERS[name].gradient(of or exact(), params(), PLAYER_ID)
    directions = sampled_directions(wrap, names)[name]
    errors = directions.std(axis=0, ddof=1) / np.sqrt(NUM_SEEDS)
    return np.abs(directions.mean(axis=0) - np.ravel(expected)) / errors


@pytest.mark.parametrize("name", LINEAR)
def test_sampled_directions_average_to_the_exact_one(name):
    assert np.max(deviations(name, afresh, tuple(LINEAR))) < 3.0


@pytest.mark.parametrize("name", ["lola", "consensus"])
def test_from_one_batch_they_would_not(name):
    assert np.max(deviations(name, OneBatch, ("lola", "consensus"))) > 5.0


def test_lola_dice_is_unbiased_for_the_step_that_it_imagined():
    imagined = OneStep(sampled(), exact())
    found = deviations(LOLA_DICE, from_one_step, (LOLA_DICE,), of=imagined)
    assert np.max(found) < 3.0


def test_lola_dice_is_biased_for_the_expected_step_at_a_small_batch():
    assert np.max(deviations(LOLA_DICE, afresh, (LOLA_DICE,))) > 5.0
