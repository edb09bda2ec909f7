"""Linear relations: found where they are enforced, and enforced where found."""

import numpy as np
import pytest

from dice_tf import evaluation
from tests.evaluation.memory_one import random_tables, returns
from tests.toys import ASYMMETRIC

# R, S, T, P of Press and Dyson's examples.
OWN, OTHER = np.array([3.0, 0, 5, 1]), np.array([3.0, 5, 0, 1])
DILEMMA = np.array([OWN.reshape(2, 2), OTHER.reshape(2, 2)])
REPEAT = np.array([1.0, 1, 0, 0])


def enforcing(target, start, discount):
    """The strategy whose p~ is `target`."""
    after = (target + REPEAT - (1 - discount) * start) / discount
    assert np.all((after >= 0) & (after <= 1))
    return np.append(after, start)


def returns_against_anyone(payoffs, cooperation, discount):
    """Returns `[n, 2]` of seat 0 with this strategy against random others."""
    table = np.stack([cooperation, 1 - cooperation], axis=1)
    return np.array(
        [
            returns(payoffs, [table, random_tables(payoffs, seed)[1]], *horizon)
            for seed in range(6)
            for horizon in [(discount, None)]
        ]
    )


def test_the_extortion_of_press_and_dyson_is_found():
    # Their example: chi = 3 with phi in the middle of its range, 1/26.
    cooperation = [11 / 13, 1 / 2, 7 / 26, 0.0, 0.3]
    fit = evaluation.extortion_fit(
        cooperation, OWN, OTHER, baselines=(1.0, 1.0)
    )
    assert fit.phi == pytest.approx(1 / 26)
    assert fit.chi == pytest.approx(3.0)
    assert fit.distance == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("baseline, start", [(1.0, 0.0), (3.0, 1.0)])
@pytest.mark.parametrize("chi", [1.7, 2.0])
def test_a_share_that_is_found_is_enforced_with_a_discount(
    baseline, start, chi
):
    discount = 0.9
    target = 0.1 * ((OWN - baseline) - chi * (OTHER - baseline))
    cooperation = enforcing(target, start, discount)
    fit = evaluation.extortion_fit(
        cooperation,
        OWN,
        OTHER,
        baselines=(baseline, baseline),
        discount=discount,
    )
    assert fit.phi == pytest.approx(0.1)
    assert fit.chi == pytest.approx(chi)
    assert fit.distance == pytest.approx(0.0, abs=1e-12)
    # At another discount it is another strategy.
    wrong = evaluation.extortion_fit(
        cooperation, OWN, OTHER, baselines=(baseline, baseline), discount=1.0
    )
    assert wrong.distance > 1e-3
    found = returns_against_anyone(DILEMMA, cooperation, discount)
    own_surplus, other = (found - baseline).T
    np.testing.assert_allclose(own_surplus, chi * other, atol=1e-9)
    assert np.ptp(own_surplus) > 0.1


def test_a_relation_of_an_asymmetric_game_is_found_and_enforced():
    own_payoffs, other = np.array([3, 0.2, 5, 1]), np.array([4, 9.1, -1, 1.2])
    relation = 0.09, -0.108, 0.0396
    target = relation[0] * own_payoffs + relation[1] * other + relation[2]
    cooperation = enforcing(target, 0.0, 0.9)
    fit = evaluation.zero_determinant_fit(
        cooperation, own_payoffs, other, discount=0.9
    )
    np.testing.assert_allclose(fit[:3], relation, rtol=1e-9)
    assert fit.distance == pytest.approx(0.0, abs=1e-12)
    payoffs = np.array([own_payoffs.reshape(2, 2), other.reshape(2, 2)])
    s_x, s_y = returns_against_anyone(payoffs, cooperation, 0.9).T
    np.testing.assert_allclose(
        fit.alpha * s_x + fit.beta * s_y + fit.gamma, 0.0, atol=1e-9
    )
    assert np.ptp(s_x) > 0.05


def test_the_distance_is_what_no_relation_explains():
    cooperation = np.random.default_rng(4).uniform(size=5)
    own_payoffs, other = ASYMMETRIC.reshape(2, 4)
    target = cooperation[:4] - REPEAT
    # What is left is the part along the normal of the three columns.
    columns = np.stack([own_payoffs, other, np.ones(4)])
    normal = np.linalg.svd(columns)[2][-1]
    expected = abs(normal @ target) / 2
    fit = evaluation.zero_determinant_fit(cooperation, own_payoffs, other)
    assert fit.distance == pytest.approx(expected) and expected > 0.01
    share = evaluation.extortion_fit(
        cooperation, own_payoffs, other, baselines=(0.1, 0.2)
    )
    assert share.distance > fit.distance


def test_without_a_discount_the_start_does_not_matter():
    cooperation = np.random.default_rng(5).uniform(size=5)
    fits = []
    for start in (0.1, 0.9):
        cooperation[4] = start
        fits.append(evaluation.zero_determinant_fit(cooperation, OWN, OTHER))
    assert fits[0] == fits[1]


def test_a_strategy_that_repeats_itself_enforces_nothing():
    repeat = [*REPEAT, 0.5]
    assert evaluation.zero_determinant_fit(repeat, OWN, OTHER) == (0, 0, 0, 0)
    assert np.isnan(
        evaluation.extortion_fit(repeat, OWN, OTHER, baselines=(1, 1)).chi
    )


@pytest.mark.parametrize(
    "changes, error, message",
    [
        ({"cooperation": [0.5] * 4}, ValueError, r"must have shape \(5,\)"),
        ({"cooperation": [1.1] * 5}, ValueError, "must hold probabilities"),
        ({"cooperation": [np.nan] * 5}, ValueError, "must hold probabilitie"),
        ({"own_payoffs": [1, 2]}, ValueError, "`own_payoffs` must be four"),
        ({"other_payoffs": [np.inf] * 4}, ValueError, "`other_payoffs` must"),
        ({"discount": 1.2}, ValueError, "`discount` must be finite and in"),
    ],
)
def test_bad_arguments_are_refused(changes, error, message):
    arguments = {
        "cooperation": [0.5] * 5,
        "own_payoffs": OWN,
        "other_payoffs": OTHER,
    } | changes
    with pytest.raises(error, match=message):
        evaluation.zero_determinant_fit(**arguments)
    with pytest.raises(error, match=message):
        evaluation.extortion_fit(**arguments, baselines=(0.0, 0.0))
