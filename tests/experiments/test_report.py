"""The report on finished runs."""

import csv
import html.parser
import json
import pathlib
import re

import numpy as np
import pytest

import dice_tf
from experiments import report
from experiments.reports import comparison, estimates, finished_runs
from experiments.results.curves import (
    final_joint_returns,
    summarise,
    write_curves,
)
from tests.experiments.commands import shell
from tests.experiments.parsed_flags import parsed_flags, run_command

FLAGS = {
    "game": "prisoners_dilemma",
    "payoffs": None,
    "episode_length": 20,
    "discount": 0.9,
}


def _curves(seed: int, num_runs: int = 6, num_iterations: int = 12):
    generator = np.random.default_rng(seed)
    shape = num_iterations, num_runs, 2
    return generator.uniform(-2.0, -0.8, shape).astype(np.float32)


def _write_run(
    folder: pathlib.Path,
    curves: dict[str, np.ndarray],
    experiment: str = "ipd",
    **changes,
) -> str:
    """Writes the files of a finished run, and returns its folder."""
    folder.mkdir()
    flags = {name: FLAGS | changes for name in curves}
    (method, *others) = curves
    config = {
        "experiment": f"experiments.{experiment}",
        "method": [*curves] if others else method,
        "flags": flags if others else flags[method],
        "command": ["ipd.py", "--learner=<any>"],
    }
    (folder / "config.json").write_text(json.dumps(config))
    summary = {
        name: summarise(values, 1.0, 1.0, False)
        for name, values in curves.items()
    }
    text = json.dumps(summary).replace("NaN", "null")
    (folder / "summary.json").write_text(text)
    write_curves(folder / "curves.csv", curves)
    return str(folder)


def _read(path: pathlib.Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class _Page(html.parser.HTMLParser):
    """Collects what a page refers to, and whether its tags are closed."""

    def __init__(self, text: str):
        super().__init__()
        self.addresses, self.open, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.addresses += [
            value for name, value in attrs if name in ("src", "href")
        ]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def reported(tmp_path_factory) -> pathlib.Path:
    """A report on three methods in two folders."""
    place = tmp_path_factory.mktemp("runs")
    pair = {"naive": _curves(0), "lola": _curves(1, num_runs=4)}
    folders = [
        _write_run(place / "pair", pair),
        _write_run(place / "alone", {"naive": _curves(2)}),
    ]
    out = place / "report"
    run_command(
        report.COMMAND,
        f"--runs={','.join(folders)}",
        f"--output_dir={out}",
        "--num_resamples=50",
    )
    return out


LABELS = ["naive (pair)", "lola", "naive (alone)"]


def test_estimates_are_those_of_the_final_returns(reported) -> None:
    rows = _read(reported / "comparison.csv")
    assert [*dict.fromkeys(row["label"] for row in rows)] == LABELS
    found = {(row["label"], row["estimate"]): row for row in rows}
    # Mutual cooperation in 20 rounds.
    best = -(1.0 - 0.9**20)
    for label, curves in zip(
        LABELS, (_curves(0), _curves(1, 4), _curves(2)), strict=True
    ):
        finals = np.sort(final_joint_returns(curves))
        cut = len(finals) // 4
        expected = {
            "interquartile_mean": finals[cut:-cut].mean(),
            "median": np.median(finals),
            "mean": finals.mean(),
            "optimality_gap": best - np.minimum(finals, best).mean(),
        }
        for name, value in expected.items():
            row = found[label, name]
            low, middle, high = (
                float(row[key]) for key in ("low", "value", "high")
            )
            assert middle == pytest.approx(value, abs=1e-12)
            assert low <= middle <= high and low < high
            assert int(row["num_runs"]) == len(finals)


def test_improvements_are_shares_of_pairs_of_runs(reported) -> None:
    rows = _read(reported / "improvement.csv")
    found = {(row["label"], row["other_label"]): row for row in rows}
    assert len(found) == len(rows) == 6
    first, second = map(final_joint_returns, (_curves(0), _curves(1, 4)))
    share = np.mean(first[:, np.newaxis] > second)
    assert float(found["naive (pair)", "lola"]["value"]) == pytest.approx(share)
    assert float(found["lola", "naive (pair)"]["value"]) == pytest.approx(
        1.0 - share
    )


def test_profiles_fall_from_one_to_zero(reported) -> None:
    rows = _read(reported / "profile.csv")
    for label in LABELS:
        shares = [float(x["value"]) for x in rows if x["label"] == label]
        assert shares[0] == 1.0 and shares[-1] == 0.0
        assert np.all(np.diff(shares) <= 0.0)


def test_learning_curves_are_interquartile_means(reported) -> None:
    rows = _read(reported / "learning_curves.csv")
    found = [row for row in rows if row["label"] == "lola"]
    assert [int(row["iteration"]) for row in found] == list(range(12))
    joint = np.sort(_curves(1, 4).astype(np.float64).mean(axis=2), axis=1)
    np.testing.assert_allclose(
        [float(row["value"]) for row in found], joint[:, 1:3].mean(axis=1)
    )


def test_the_page_is_whole_and_loads_nothing(reported) -> None:
    text = (reported / "report.html").read_text(encoding="utf-8")
    page = _Page(text)
    assert not page.open
    assert len(page.addresses) == 4
    for address in page.addresses:
        assert address.startswith("data:image/png;base64,")
    assert not re.search(r"https?:|url\(|@import|<script", text)
    for label in LABELS:
        assert label in page.texts
    # What a user typed is text, and not a tag.
    assert "ipd.py --learner=<any>" in page.texts


def test_the_summary_holds_the_estimates(reported) -> None:
    summary = json.loads((reported / "summary.json").read_text())
    assert list(summary) == LABELS
    assert summary["lola"]["num_runs"] == 4
    assert set(summary["lola"]["mean"]) == {"value", "low", "high"}


def test_reports_on_the_same_runs_are_the_same(tmp_path) -> None:
    folder = _write_run(tmp_path / "run", {"naive": _curves(0)})
    (methods,) = (finished_runs.read_folders([folder]) for _ in range(1))
    first, second, third = (
        comparison.compare(methods, num_resamples=20, seed=seed)
        for seed in (0, 0, 1)
    )
    assert first.summary() == second.summary() != third.summary()


def test_failed_runs_are_counted_and_left_out(tmp_path) -> None:
    curves = _curves(0)
    curves[-1, 2] = np.nan
    folder = _write_run(tmp_path / "run", {"naive": curves})
    (method,) = finished_runs.read_folders([folder])
    assert method.num_failed == 1 and method.returns.shape == (12, 5)
    finals = final_joint_returns(curves)
    np.testing.assert_allclose(method.scores, np.delete(finals, 2))


def test_coins_are_rewards_a_step_without_a_known_best(tmp_path) -> None:
    run = tmp_path / "coins"
    run.mkdir()
    config = {
        "experiment": "experiments.coin_game",
        "method": "naive",
        "flags": {"episode_length": 8, "discount": 0.5, "policy": "mlp"},
        "command": ["coin_game.py"],
    }
    (run / "config.json").write_text(json.dumps(config))
    summary = {"naive": {"final_mean_reward_per_run": [0.1, 0.3]}}
    (run / "summary.json").write_text(json.dumps(summary))
    (run / "coins.csv").write_text(
        "method,run,iteration,own_coin_share,player_0_reward,player_1_reward,"
        "pick_ups_per_step\n"
        "naive,1,0,0.5,0,0.1,1\nnaive,1,9,0.5,0.2,0.0,1\n"
        "naive,2,0,0.5,0,0.3,1\nnaive,2,9,0.5,0.2,0.4,1\n"
    )
    (method,) = finished_runs.read_folders([str(run)])
    assert method.game == {"game": "coin_game", "episode_length": 8}
    assert method.best is None
    np.testing.assert_allclose(method.iterations, [0, 9])
    np.testing.assert_allclose(method.returns, [[0.05, 0.15], [0.1, 0.3]])
    found = comparison.compare([method], num_resamples=5)
    assert "optimality_gap" not in found.estimates["naive"]
    found = comparison.compare([method], best=1.0, num_resamples=5)
    gap = found.estimates["naive"]["optimality_gap"].value
    assert gap == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("game", "best"),
    [
        ({"game": "prisoners_dilemma", "discount": 0.5}, -1.0),
        ({"game": "battle_of_the_sexes", "discount": 1.0}, 2.5),
        ({"game": "matching_pennies", "discount": 0.5}, 0.0),
        (
            {"game": "custom", "payoffs": [[4, 0], [0, 1]], "discount": 1.0},
            2.0,
        ),
        (
            {"game": "negotiation", "discount": 0.5, "episode_length": 2},
            0.375,
        ),
        ({"game": "tandem", "discount": None}, None),
    ],
)
def test_the_best_return_is_that_of_the_best_joint_action(game, best) -> None:
    found = finished_runs.best_return({"episode_length": None, **game})
    assert found == (best if best is None else pytest.approx(best))


def test_nobody_exceeds_the_best_return() -> None:
    """Exact values of mutual cooperation are the best, and of others less."""
    game = dice_tf.games.iterated_prisoners_dilemma(episode_length=7)
    best = finished_runs.best_return(FLAGS | {"episode_length": 7})
    for make, is_best in (
        (dice_tf.policies.always_cooperate, True),
        (dice_tf.policies.random, False),
    ):
        objective = dice_tf.objectives.ExactObjective(
            game, [make(game, i) for i in range(2)], discount=0.9
        )
        params = objective.initial_params()
        joint = 0.1 * np.mean(objective(params, dice_tf.seeds.make_seed(0)))
        assert (joint == pytest.approx(best, abs=1e-6)) == is_best
        assert joint < best + 1e-6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"game": "chicken"},
            "of different games cannot stand in one table: `game` is "
            "'prisoners_dilemma' in '.*first' and 'chicken' in '.*second'",
        ),
        ({"discount": 0.5}, "`discount` is 0.9 in .* and 0.5 in"),
        ({"payoffs": [[1]]}, r"`payoffs` is None in .* and \[\[1\]\] in"),
    ],
)
def test_runs_of_different_games_are_refused(
    tmp_path, changes, message
) -> None:
    folders = [
        _write_run(tmp_path / "first", {"naive": _curves(0)}),
        _write_run(tmp_path / "second", {"lola": _curves(0)}, **changes),
    ]
    with pytest.raises(ValueError, match=message):
        finished_runs.read_folders(folders)


def _refuse(message: str, *folders) -> None:
    with pytest.raises(ValueError, match=message):
        finished_runs.read_folders([str(folder) for folder in folders])


def test_what_is_not_a_finished_run_is_refused(tmp_path) -> None:
    _refuse("absent' is not a folder", tmp_path / "absent")
    _refuse("not the folder of a finished run: it has no summ", tmp_path)
    checkpoints = tmp_path / ".checkpoints"
    checkpoints.mkdir()
    record = {"experiment": "a", "configuration": {}, "command": "go on"}
    (checkpoints / "run.json").write_text(json.dumps(record))
    _refuse("has not finished. To continue it:\n  go on", tmp_path)


def test_a_run_that_is_given_twice_is_refused(tmp_path) -> None:
    folder = _write_run(tmp_path / "run", {"naive": _curves(0)})
    _refuse("Received twice: .*run/.'", folder, f"{folder}/.")


@pytest.mark.parametrize(
    ("num_runs", "num_failed", "said"),
    [(1, 0, "holds 1 of naive."), (2, 1, "holds 1 of naive, 1 failed.")],
)
def test_a_single_run_of_a_method_is_refused(
    tmp_path, num_runs, num_failed, said
) -> None:
    curves = _curves(0, num_runs=num_runs)
    curves[-1, :num_failed] = np.nan
    folder = _write_run(tmp_path / "run", {"naive": curves})
    _refuse(
        f"needs at least two runs of a method .--num_seeds.. .*{said}", folder
    )


@pytest.mark.parametrize(
    "summary", ['{"checks": []}', '{"naive": {"seconds": 1}}', "{}"]
)
def test_experiments_without_returns_are_refused(tmp_path, summary) -> None:
    folder = _write_run(tmp_path / "run", {"naive": _curves(0)}, "pola")
    (tmp_path / "run" / "summary.json").write_text(summary)
    _refuse("is a run of pola, which leaves no returns of methods", folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("summary.json", "["),
        ("summary.json", "[]"),
        ("summary.json", '{"naive": {"final_joint_return_per_run": [1]}}'),
        ("config.json", "{}"),
        ("curves.csv", ""),
        ("curves.csv", "method,run,iteration\nnaive,1,0\n"),
        ("curves.csv", "method,run,iteration,player_0_return\nnaive,1\n"),
        ("curves.csv", "method,run,iteration,player_0_return\nlola,1,0,2\n"),
    ],
)
def test_damaged_files_are_refused(tmp_path, name, content) -> None:
    folder = _write_run(tmp_path / "run", {"naive": _curves(0)})
    (tmp_path / "run" / name).write_text(content)
    _refuse("does not hold the files of a run, or they are damaged", folder)


def test_the_thresholds_hold_all_scores() -> None:
    curves = np.full([3, 2], -1.0)
    method = finished_runs.MethodRuns(
        "a", "f", "a", "c", FLAGS, None, np.arange(3), curves, curves[0], 0
    )
    found = comparison.compare([method], num_resamples=5)
    assert found.thresholds[0] < -1.0 < found.thresholds[-1]


def test_long_curves_are_thinned(monkeypatch) -> None:
    monkeypatch.setattr(comparison, "_MOST_ITERATIONS", 5)
    returns = np.random.default_rng(0).normal(size=[41, 3])
    method = finished_runs.MethodRuns(
        "a", "f", "a", "c", FLAGS, None, np.arange(41), returns, returns[-1], 0
    )
    found = comparison.compare([method], num_resamples=5)
    np.testing.assert_array_equal(found.iterations["a"], [0, 10, 20, 30, 40])
    np.testing.assert_allclose(
        found.curves["a"].value,
        estimates.interquartile_mean(returns[::10, :, np.newaxis]),
    )


def test_runs_stand_anywhere_in_the_command_line(tmp_path) -> None:
    folder = _write_run(tmp_path / "run", {"naive": _curves(0)})
    out = tmp_path / "out"
    arguments = ("--num_resamples=20", folder, f"--output_dir={out}")
    done = shell("report", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("method  interquartile mean ")
    config = json.loads((out / "config.json").read_text())
    assert config["flags"]["runs"] == [folder]
    done = shell("report", folder, str(tmp_path / "x"), "--output_dir=unmade")
    assert done.returncode == 1
    assert done.stderr.endswith(f"Error: '{tmp_path / 'x'}' is not a folder.\n")
    assert "Traceback" not in done.stderr


def test_a_report_needs_a_run() -> None:
    with (
        parsed_flags(command=report.COMMAND) as values,
        pytest.raises(ValueError, match="--runs must hold at least one entry"),
    ):
        report.COMMAND.resolve(values)
