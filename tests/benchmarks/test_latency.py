"""What exports are timed against answers the same, and slow ones are found."""

import time

import numpy as np
import pytest

from benchmarks import latency, latency_programs

NUM_ROWS = 400


@pytest.fixture(scope="module", params=latency_programs.FORMATS)
def answers(request, tmp_path_factory):
    """By signature, the answers of ours and of the plain export."""
    policy = latency_programs.make_policy([3])
    weights = [4.0 * weight for weight in policy.get_weights()]
    policy.set_weights(weights)
    rows = latency_programs.request(policy, NUM_ROWS)
    folder = tmp_path_factory.mktemp("exports")
    export = latency_programs.FORMATS[request.param]
    found = [
        {
            signature: {
                key: np.asarray(x) for key, x in calls[signature]().items()
            }
            for signature in latency_programs.SIGNATURES
        }
        for calls in export(policy, folder)(rows)
    ]
    return request.param, *found


def test_both_exports_are_of_one_network(answers):
    _, ours, plain = answers
    found = ours["probabilities"]["probabilities"]
    expected = plain["probabilities"]["probabilities"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.ptp(found) > 0.5


def test_both_exports_draw(answers):
    name, ours, plain = answers
    probabilities = ours["probabilities"]["probabilities"]
    for found in (ours["act"], plain["act"]):
        action = found["action"]
        chosen = np.take_along_axis(probabilities, action[:, None], axis=1)
        np.testing.assert_allclose(
            np.exp(found["log_prob"]), chosen[:, 0], atol=1e-5
        )
        shares = np.bincount(action, minlength=4) / NUM_ROWS
        np.testing.assert_allclose(shares, probabilities.mean(axis=0), atol=0.1)
    if name != "SavedModel":
        # From the same noise.
        np.testing.assert_array_equal(
            ours["act"]["action"], plain["act"]["action"]
        )


def test_what_is_slower_fails(monkeypatch):
    monkeypatch.setattr(latency, "NUM_CALLS", {3: 2})
    called = []

    def sleep(name, seconds):
        called.append(name)
        time.sleep(seconds)

    calls = {
        "ours": {
            "probabilities": lambda: sleep("ours", 0.004),
            "act": lambda: sleep("ours", 0.001),
        },
        "plain": {
            "probabilities": lambda: sleep("plain", 0.001),
            "act": lambda: sleep("plain", 0.004),
        },
    }
    found = latency.measure("ONNX", 3, calls, num_turns=5)
    assert [x.signature for x in found] == ["probabilities", "act"]
    assert 1.0 < found[0].ratio < 5.0 and 0.2 < found[1].ratio < 1.0
    assert 0.001 <= found[1].ours < 0.004 <= found[0].ours
    # For each signature a start and five turns of two calls.
    assert called.count("ours") == called.count("plain") == 2 * 6 * 2
    passed = [check.passed for check in latency.checks(found, 1.1)]
    assert passed == [False, True]
    lines = latency.table(found).splitlines()
    assert lines[0].split()[-1] == "ratio"
    assert lines[1].split()[:3] == ["ONNX", "3", "probabilities"]
    assert float(lines[1].split()[-1]) == pytest.approx(
        found[0].ratio, abs=0.01
    )
