"""The figure of the LOLA-DiCE paper, at a tiny size, and what is said of it."""

import json
import os
import pathlib

import numpy as np
import pytest

from experiments import lola_dice_figure
from experiments.comparisons import figure
from experiments.comparisons.figure import PUBLISHED, RECOMMENDED, Target
from experiments.results.published import published_curves
from experiments.settings.defaults import defaults_for
from tests.experiments.commands import read_curves
from tests.experiments.parsed_flags import parsed_flags, run_command

TINY = (
    "--num_seeds=2",
    "--num_iterations=2",
    "--episode_length=4",
    "--nojit_compile",
)


def _run(folder: pathlib.Path, *arguments: str) -> pathlib.Path:
    run_command(
        lola_dice_figure.COMMAND, *TINY, f"--output_dir={folder}", *arguments
    )
    return folder


def _settings(kind: str, *arguments: str) -> dict:
    command = lola_dice_figure.COMMAND
    arguments = (f"--settings={kind}", *arguments)
    with parsed_flags(*arguments, command=command) as values:
        return command.resolve(values)


def _curves(joint: np.ndarray) -> np.ndarray:
    """Returns curves of two players with these joint returns."""
    return np.stack([joint - 0.1, joint + 0.1], axis=-1)


def test_all_files_are_there(tmp_path) -> None:
    _run(tmp_path, "--methods=lola_surrogate", "--batch_size=4")
    assert set(os.listdir(tmp_path)) == {
        "config.json",
        "flags.txt",
        "curves.csv",
        "learning_curves.png",
        "policies.png",
        "saved_model",
        "state_diagram.png",
        "summary.json",
    }
    assert set(os.listdir(tmp_path / "saved_model")) == {"player_0", "player_1"}
    curves = read_curves(tmp_path / "curves.csv")
    assert set(curves) == {"lola_surrogate_batch_4"}


def test_published_settings_are_compared_with_the_published_curves(
    tmp_path, capsys
) -> None:
    _run(tmp_path, "--settings=published", "--methods=naive")
    summary = json.loads((tmp_path / "summary.json").read_text())
    found = summary["naive"]["published"]
    assert found["final_joint_return_mean"] == pytest.approx(-1.991, abs=5e-4)
    share = found["share_of_iterations_in_or_above_band"]
    assert share == 1 - len(found["iterations_below_band"]) / 2
    assert "in or above its band" in capsys.readouterr().out


def test_recommended_settings_are_the_defaults() -> None:
    settings = _settings(RECOMMENDED)
    assert list(settings) == list(figure.METHODS[RECOMMENDED])
    for count in (1, 2, 3):
        plural = "" if count == 1 else "s"
        method = settings[f"lola_dice_{count}_lookahead{plural}"]
        expected = defaults_for(count)
        assert method.inner_learning_rate == (expected.inner_learning_rate,) * 2
        assert method.learning_rate == (expected.learning_rate,) * 2
        assert method.loaded_lambda == expected.loaded_lambda
    assert settings["lola_surrogate"].objective == "surrogate"
    assert settings["lola_batch_4000"].batch_size == 4000
    assert settings["lola"].batch_size == 64


def test_published_settings_are_plain() -> None:
    settings = _settings(PUBLISHED)
    assert set(settings) == set(figure.PUBLISHED_NAMES)
    for method in settings.values():
        assert method.baseline == "leave_one_out"
        assert method.loaded_lambda == method.tau == 1.0
        assert method.initial_logits == "uniform"
        assert method.learning_rate[0] < 0.3


def test_flags_replace_entries_of_the_table() -> None:
    arguments = ("--learning_rate=0.7", "--num_iterations=9")
    for kind in (RECOMMENDED, PUBLISHED):
        for method in _settings(kind, *arguments).values():
            assert method.learning_rate == (0.7, 0.7)
            assert method.num_iterations == 9


def test_the_large_batch_has_fewer_iterations() -> None:
    settings = _settings(RECOMMENDED)
    lengths = {name: method.num_iterations for name, method in settings.items()}
    assert lengths.pop("lola_batch_4000") < 200
    assert set(lengths.values()) == {200}


def test_a_method_of_other_settings_is_refused() -> None:
    with pytest.raises(ValueError, match="--methods must be some of naive"):
        _settings(PUBLISHED, "--methods=lola_surrogate")
    with pytest.raises(ValueError, match="--methods must hold at least one"):
        _settings(PUBLISHED, "--methods=")


@pytest.mark.parametrize(
    ("target", "mean", "count", "is_met"),
    [
        (Target(-1.95, is_upper=True), -1.96, 0, True),
        (Target(-1.95, is_upper=True), -1.94, 0, False),
        (Target(-1.3), -1.29, 0, True),
        (Target(-1.3), -1.31, 20, False),
        (Target(-1.05, share_of_runs=0.95), -1.0, 19, True),
        (Target(-1.05, share_of_runs=0.95), -1.0, 18, False),
        (Target(-1.05, share_of_runs=0.9), -1.0, 18, True),
        (Target(-1.05, share_of_runs=0.9), -1.06, 20, False),
        (Target(-1.05), float("nan"), 20, False),
    ],
)
def test_targets(target: Target, mean: float, count: int, is_met: bool) -> None:
    assert target.is_met(mean, count, 20) == is_met


def test_verdicts_count_cooperative_runs() -> None:
    joint = np.full([30, 20], -1.0)
    joint[:, :2] = -1.2
    curves = {
        "lola_dice_1_lookahead": _curves(joint),
        "lola_dice_2_lookaheads": _curves(joint),
        "lola": _curves(joint),
        "naive": _curves(joint),
    }
    notes, columns = figure.target_verdicts(curves)
    passed = {name: note["target"]["passed"] for name, note in notes.items()}
    assert passed == {
        "lola_dice_1_lookahead": False,
        "lola_dice_2_lookaheads": True,
        "naive": False,
    }
    assert columns[1] == ["", "FAILED", "passed", "", "FAILED"]


def test_a_curve_below_the_band_is_told() -> None:
    other = published_curves()["lola_dice_1_lookahead"]
    low, high = other.band
    np.testing.assert_allclose((low + high) / 2, other.mean)
    np.testing.assert_allclose(
        high - low, 2 * 2.776 * other.std / np.sqrt(5), rtol=1e-3
    )
    joint = np.repeat(other.mean[:, np.newaxis], 3, axis=1)
    joint[150:153] = low[150:153, np.newaxis] - 0.01
    joint[160:] = high[160:, np.newaxis] + 1.0
    curves = {"lola_dice_1_lookahead": _curves(joint), "sos": _curves(joint)}
    notes, columns = figure.band_verdicts(curves)
    found = notes["lola_dice_1_lookahead"]["published"]
    assert found["iterations_below_band"] == [150, 151, 152]
    assert columns[1][1:] == ["197 of 200", ""]
