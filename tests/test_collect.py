"""The data of tables is what finished runs have left."""

import json
import pathlib

import numpy as np
import pytest

from docs import collect
from experiments.results import curves as learning_curves

CONFIG = {
    "method": ["naive", "lola"],
    "flags": {"naive": {"seed": 5, "num_seeds": 3}},
    "versions": dict.fromkeys(collect.VERSIONS, "1.2.3"),
    "device": "CPU, 2 cores",
    "git_commit": "0123abc",
    "experiment": "experiments.compare_learners",
    "arguments": ["--learners=naive,lola"],
}


def finished_run(folder: pathlib.Path, summary: dict, **changes) -> None:
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))


def test_collected_returns_are_those_of_the_summary(tmp_path) -> None:
    values = np.random.default_rng(0).normal(size=[2, 15, 3, 2])
    curves = {
        name: values[i].astype(np.float32)
        for i, name in enumerate(("naive", "lola"))
    }
    summary = {
        name: learning_curves.summarise(curve, 1.0, 1.0, False)
        for name, curve in curves.items()
    }
    summary["naive"]["published"] = {}
    run = tmp_path / "run"
    finished_run(run, summary)
    learning_curves.write_curves(run / "curves.csv", curves)
    data = tmp_path / "data"
    assert collect.collect(run, data) == ["run", "run_curves"]
    rows = collect.read_rows(data / "run.csv")
    means = collect.read_rows(data / "run_curves.csv")
    for name, curve in curves.items():
        returns = np.reshape([float(row[name]) for row in rows], [3, 2])
        expected = summary[name]["final_joint_return_per_run"]
        np.testing.assert_allclose(returns.mean(axis=1), expected, rtol=1e-4)
        mean = learning_curves.joint_returns(curve).mean(axis=1)
        found = [float(row[name]) for row in means]
        np.testing.assert_allclose(found, mean, rtol=1e-4)
    first, second = collect.read_rows(data / collect.SOURCES)
    assert first["command"] == (
        "python -m experiments.compare_learners --learners=naive,lola "
        "--output_dir=runs/run"
    )
    assert (first["seeds"], first["commit"]) == ("5 to 7", "0123abc")
    assert second == first | {"file": "run_curves"}


def test_runs_of_the_coin_game_are_collected(tmp_path) -> None:
    run = tmp_path / "coins"
    entry = {
        "final_own_coin_share_per_run": [0.9, 0.8],
        "final_mean_reward_per_run": [0.31, 0.32],
    }
    finished_run(run, {"loqa": entry}, method="loqa", flags={})
    (run / "coins.csv").touch()
    lines = ["row,column,reward,opponent_reward,own_coin_share"]
    for row, rewards in (("run_1", (1, 2, 3, 4)), ("run_2", (5, 6, 7, 8))):
        columns = ("run_1", "run_2", "always_cooperate", "always_defect")
        for column, reward in zip(columns, rewards, strict=True):
            lines.append(f"{row},{column},{reward},{-reward},0.5")
    (run / "cross_play.csv").write_text("\n".join(lines) + "\n")
    collect.collect(run, tmp_path)
    assert (tmp_path / "coins.csv").read_text() == (
        "run,own_coin_share,self_play,between_runs,always_cooperate,"
        "always_defect,earned_by_always_defect\n"
        "1,0.9,0.31,2,3,4,-4\n2,0.8,0.32,5,7,8,-8\n"
    )


def test_a_league_is_collected(tmp_path) -> None:
    run = tmp_path / "league"
    finished_run(run, {}, method="coin_league", flags={})
    names = ["a/run_1", "a/run_2", *collect.BOTS]
    lines = ["row,column,row_seat,reward,opponent_reward,own_coin_share"]
    for i, row in enumerate(names):
        for j, column in enumerate(names):
            for seat in range(2):
                reward = 100 * i + 10 * j + seat
                lines.append(f"{row},{column},{seat},{reward},{-reward},0.5")
    (run / "league.csv").write_text("\n".join(lines) + "\n")
    ratings = ["name,kind,loss_to_best_response", "random,random,0.9"]
    ratings += ["a/run_2,a,0.2", "a/run_1,a,0.1"]
    (run / "ratings.csv").write_text("\n".join(ratings) + "\n")
    collect.collect(run, tmp_path)
    assert (tmp_path / "league.csv").read_text() == (
        "kind,run,self_play,between_runs,always_cooperate,always_defect,"
        "random,earned_by_always_defect,loss_to_best_response\n"
        "a,1,0.5,10.5,20.5,30.5,40.5,-30.5,0.1\n"
        "a,2,110.5,100.5,120.5,130.5,140.5,-130.5,0.2\n"
    )


def test_times_are_collected_beside_what_was_there(tmp_path) -> None:
    run = tmp_path / "benchmarks"
    run.mkdir()
    entry = {"name": "batch_128/ours", "median_seconds": 0.5}
    entry |= {"min_seconds": 0.25, "max_seconds": 2.0}
    (run / "benchmarks.json").write_text(json.dumps([entry]))
    (tmp_path / collect.SOURCES).write_text("file,note\nanother,kept\n")
    assert collect.collect(run, tmp_path) == ["benchmarks"]
    assert (tmp_path / "benchmarks.csv").read_text() == (
        "case,program,median_ms,min_ms,max_ms\nbatch_128,ours,500,250,2000\n"
    )
    kept, added = collect.read_rows(tmp_path / collect.SOURCES)
    assert (kept["file"], kept["note"]) == ("another", "kept")
    assert added["command"].startswith("python -m benchmarks.run ")


def test_what_is_not_a_finished_run_is_refused(tmp_path, capsys) -> None:
    with pytest.raises(ValueError, match="must hold a finished run"):
        collect.collect(tmp_path, tmp_path)
    (tmp_path / "curves.csv").touch()
    with pytest.raises(ValueError, match="must hold a finished run"):
        collect.collect(tmp_path, tmp_path)
    assert collect.main([str(tmp_path)]) == 1
    assert "must hold a finished run" in capsys.readouterr().err
