"""The examples of stochastic computation graphs."""

import numpy as np
import pytest

from examples import (
    latent_variable_model,
    score_or_reparameterised,
    two_level_decision,
)


def test_the_latent_variable_model_reaches_the_entropy_of_its_data(capsys):
    first, last, exact = latent_variable_model.main()
    assert first > exact + 1.0
    # The bound is tight if the patterns are told apart.
    np.testing.assert_allclose(last, exact, atol=0.05)
    noise = -0.1 * np.log(0.1) - 0.9 * np.log(0.9)
    np.testing.assert_allclose(exact, np.log(3) + 9 * noise, atol=0.1)
    assert "Bound: " in capsys.readouterr().out


def expected_revenue(toll):
    """After two steps of drivers who know the mean toll."""
    phi = 0.0
    for _ in range(2):
        drive = 1 / (1 + np.exp(-phi))
        phi -= 3.0 * drive * (1 - drive) * (toll - 1.5)
    return toll / (1 + np.exp(-phi))


def test_foresight_finds_the_best_toll_and_the_lack_of_it_the_highest():
    tolls, revenues = zip(*two_level_decision.main(), strict=True)
    candidates = np.linspace(0, 3, 301)
    best = candidates[np.argmax(expected_revenue(candidates))]
    assert tolls[0] == pytest.approx(best, abs=0.2)
    assert tolls[1] == pytest.approx(3.0, abs=0.1)
    expected = tuple(expected_revenue(toll) for toll in tolls)
    assert revenues == pytest.approx(expected, abs=0.1)


def test_both_gradients_have_the_same_mean_and_not_the_same_variance():
    num_samples = 20_000
    exact, found = score_or_reparameterised.main(num_samples=num_samples)
    for order, value in enumerate(exact):
        for estimates in found.values():
            mean, deviation = estimates[order]
            assert abs(mean - value) < 4 * deviation / num_samples**0.5
        deviations = [estimates[order][1] for estimates in found.values()]
        assert deviations == sorted(deviations, reverse=True)
        assert deviations[0] > 3 * deviations[-1]
