"""The comparison of learners as a user runs it, at a tiny size."""

import json
import os
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from experiments import compare_learners
from experiments.building import builders
from experiments.building.tandem import tandem_objective, tandem_starts
from experiments.comparisons.ends import count_ends
from experiments.settings import line_up
from tests.experiments.commands import read_curves
from tests.experiments.parsed_flags import parsed_flags, run_command


def _run(folder: pathlib.Path, *arguments: str) -> pathlib.Path:
    run_command(compare_learners.COMMAND, f"--output_dir={folder}", *arguments)
    return folder


def _methods(*arguments: str) -> dict:
    command = compare_learners.COMMAND
    with parsed_flags(*arguments, command=command) as values:
        return command.resolve(values)


@pytest.fixture(scope="module")
def exact(tmp_path_factory) -> pathlib.Path:
    return _run(
        tmp_path_factory.mktemp("exact"),
        "--learners=naive,lola_vs_tit_for_tat",
        "--num_seeds=3",
        "--num_iterations=12",
        "--nojit_compile",
    )


def test_exact_files_are_there(exact) -> None:
    assert set(os.listdir(exact)) == {
        "config.json",
        "flags.txt",
        "curves.csv",
        "learning_curves.png",
        "policies_naive.png",
        "policies_lola_vs_tit_for_tat.png",
        "saved_model",
        "summary.json",
    }
    assert set(os.listdir(exact / "saved_model")) == {
        "naive",
        "lola_vs_tit_for_tat",
    }
    policy = tf.saved_model.load(exact / "saved_model" / "naive" / "player_1")
    assert policy.probabilities(tf.eye(5))["probabilities"].shape == (5, 2)


def test_exact_curves_are_those_of_the_closed_form(exact) -> None:
    curves = read_curves(exact / "curves.csv")
    assert curves["naive"].shape == (12, 3, 2)
    settings = _methods(
        "--learners=naive", "--num_seeds=3", "--num_iterations=12"
    )["naive"]
    trainer = builders.build_trainer(settings)
    objective = trainer.objective
    assert objective.episode_length is None
    for run in range(3):
        trainer.load_run(run)
        values = objective(objective.initial_params())
        np.testing.assert_allclose(
            curves["naive"][0, run], 0.04 * np.stack(values), rtol=1e-4
        )


def test_the_summary_compares_only_with_what_was_published(exact) -> None:
    # 12 iterations are not those of the literature.
    summary = json.loads((exact / "summary.json").read_text())
    assert list(summary) == ["naive", "lola_vs_tit_for_tat"]
    assert "reference" not in summary["naive"]
    config = json.loads((exact / "config.json").read_text())
    flags = config["flags"]["naive"]
    assert flags["objective"] == "exact"
    assert flags["initial_logits"] == "normal"
    assert flags["batch_size"] is flags["episode_length"] is None


def test_the_summary_tells_how_the_runs_end(exact) -> None:
    summary = json.loads((exact / "summary.json").read_text())
    curves = read_curves(exact / "curves.csv")
    for name, entry in summary.items():
        assert entry["ends"] == count_ends(curves[name])
        assert sum(entry["ends"].values()) == 3


def test_games_of_other_payoffs_have_no_such_ends(tmp_path, capsys) -> None:
    folder = _run(
        tmp_path,
        "--payoffs=[[[3,0],[5,1]],[[3,5],[0,1]]]",
        "--learners=naive",
        "--num_seeds=2",
        "--num_iterations=2",
        "--nojit_compile",
    )
    summary = json.loads((folder / "summary.json").read_text())
    assert "ends" not in summary["naive"]
    assert "extortion" not in capsys.readouterr().out


@pytest.mark.parametrize("discount, is_told", [("1", True), ("0.9", False)])
def test_ends_of_few_rounds_are_told_only_without_discount(
    discount, is_told, tmp_path
) -> None:
    """Mutual defection for five rounds earns -0.82 at discount 0.9."""
    folder = _run(
        tmp_path,
        "--episode_length=5",
        f"--discount={discount}",
        "--learners=naive",
        "--num_seeds=2",
        "--num_iterations=2",
        "--nojit_compile",
    )
    summary = json.loads((folder / "summary.json").read_text())
    assert ("ends" in summary["naive"]) == is_told


def test_adam_can_decay_weights() -> None:
    settings = _methods(
        "--learners=lola_dice_10_lookaheads_mixed_0.6",
        "--optimizer=adamw",
        "--learning_rate=0.005",
    )["lola_dice_10_lookaheads_mixed_0.6"]
    optimizer = builders.build_optimizer(settings, 0)
    assert type(optimizer) is keras.optimizers.AdamW
    assert float(optimizer.learning_rate) == pytest.approx(0.005)
    assert optimizer.weight_decay == pytest.approx(0.004)


def test_the_tandem_game_is_compared_with_the_literature(
    tmp_path, capsys
) -> None:
    folder = _run(
        tmp_path,
        "--game=tandem",
        "--learners=naive,lola_full_gradient",
        "--nojit_compile",
    )
    assert set(os.listdir(folder)) == {
        "config.json",
        "flags.txt",
        "curves.csv",
        "learning_curves.png",
        "summary.json",
    }
    summary = json.loads((folder / "summary.json").read_text())
    found = summary["lola_full_gradient"]
    assert found["reference"]["agrees"]
    assert found["final_joint_return_mean"] == pytest.approx(-0.44, abs=0.005)
    assert summary["naive"]["final_joint_return_mean"] == pytest.approx(
        0.0, abs=0.001
    )
    assert read_curves(folder / "curves.csv")["naive"].shape == (30, 100, 2)
    assert "agrees within" in capsys.readouterr().out


def test_cola_pays_less_than_lola_in_the_tandem_game(tmp_path) -> None:
    """At rate a its players come to rest at a sum of `s = 1 / m`, with
    `2 a m^2 + m = 1`, and pay `s^2 - s` each; those of LOLA pay 0.44."""
    folder = _run(
        tmp_path,
        "--game=tandem",
        "--learners=cola",
        "--num_seeds=2",
        "--nojit_compile",
    )
    (found,) = json.loads((folder / "summary.json").read_text()).values()
    total = 0.4 / (-1.0 + np.sqrt(1.8))
    expected = total**2 - total
    assert found["final_joint_return_mean"] == pytest.approx(
        -expected, abs=0.03
    )


def test_the_losses_of_the_tandem_game() -> None:
    params = [[tf.constant(0.7)], [tf.constant(-0.4)]]
    first, second = tandem_objective()(params)
    assert float(first) == pytest.approx(-(0.3**2) + 1.4)
    assert float(second) == pytest.approx(-(0.3**2) - 0.8)


def test_starts_are_those_of_the_runs_own_seeds() -> None:
    starts = np.squeeze(tandem_starts(400, seed=5))
    assert starts.shape == (400, 2)
    np.testing.assert_array_equal(starts[3:5], np.squeeze(tandem_starts(2, 8)))
    assert np.std(starts) == pytest.approx(0.1, rel=0.1)


def test_sampled_methods_have_their_own_batches(tmp_path) -> None:
    folder = _run(
        tmp_path,
        "--mode=sampled",
        "--game=chicken",
        "--learners=naive_batch_6",
        "--episode_length=3",
        "--num_seeds=2",
        "--num_iterations=2",
        "--nojit_compile",
    )
    curves = read_curves(folder / "curves.csv")
    assert {name: values.shape for name, values in curves.items()} == {
        "naive_batch_6": (2, 2, 2)
    }


def test_learners_by_advantages_run_by_their_names(tmp_path) -> None:
    names = (
        "actor_critic_vs_advantage_alignment",
        "loqa_vs_lola_dice_1_lookahead_mixed_0.5",
    )
    folder = _run(
        tmp_path,
        "--mode=sampled",
        f"--learners={','.join(names)}",
        "--episode_length=3",
        "--num_seeds=2",
        "--num_iterations=2",
        "--nojit_compile",
    )
    curves = read_curves(folder / "curves.csv")
    for name in names:
        assert curves[name].shape == (2, 2, 2)
        assert np.all(np.isfinite(curves[name]))
        for player_id in range(2):
            path = folder / "saved_model" / name / f"player_{player_id}"
            policy = tf.saved_model.load(path)
            found = policy.probabilities(tf.eye(5))["probabilities"]
            np.testing.assert_allclose(np.sum(found, 1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("mode", ["exact", "sampled"])
def test_every_method_of_a_mode_is_built(mode: str) -> None:
    methods = _methods(f"--mode={mode}", "--num_seeds=2")
    assert "naive" in methods and len(methods) >= 7
    for name, settings in methods.items():
        learners = {
            type(builders.build_learner(settings, None, player)).__name__
            for player in range(2)
        }
        assert len(learners) == 1, name
        game = builders.build_game(settings)
        policies = [builders.build_policy(settings, game, i) for i in range(2)]
        objective = builders.build_objective(settings, game, policies)
        is_exact = isinstance(objective, dice_tf.objectives.ExactObjective)
        assert is_exact == (mode == "exact")
        is_surrogate = isinstance(
            objective, dice_tf.objectives.SurrogateObjective
        )
        assert is_surrogate == (name == "lola_surrogate")


def test_every_learner_has_a_default_comparison() -> None:
    exact = _methods("--mode=exact")
    seats = {method.learner[0] for method in exact.values()}
    sampled_alone = {"lola_surrogate", "lola_dice_opponent_model"}
    # Compared with LOLA in an experiment of its own, or too slow for 200 runs.
    elsewhere = {"pola", "cola", *line_up.STEPWISE}
    assert seats == set(line_up.LEARNERS) - sampled_alone - elsewhere


def test_starts_are_as_wide_as_said() -> None:
    for start, std in (("normal", 1.0), ("uniform", 3**-0.5)):
        settings = _methods(
            "--learners=naive", "--num_seeds=30", f"--initial_logits={start}"
        )["naive"]
        trainer = builders.build_trainer(settings)
        logits = [np.asarray(v) for v in trainer.players[0].params]
        assert np.std(logits) == pytest.approx(std, rel=0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--learners=lola_dice"], "A method must be one of"),
        (["--learners="], "--learners must hold at least one"),
        (["--learners=naive,naive"], "must differ. Received twice: naive"),
        (["--learners=lola_surrogate"], "a way to sample"),
        (
            ["--learners=lola_dice_1_lookahead_opponent_model"],
            "learns its models from play",
        ),
        (["--learners=naive_batch_8"], "for --mode=sampled"),
        (["--learners=actor_critic"], "actor_critic learns from play"),
        (["--learners=loqa"], "loqa .* give --episode_length"),
        (
            ["--mode=sampled", "--learners=cola_vs_naive"],
            "cola fits updates to exact values.* Received: cola,naive",
        ),
        (["--learners=random"], "at least one player learn"),
        (["--learners=sos_vs_sos_vs_sos"], "2 players. Received 3"),
        (["--baseline=critic"], "--baseline is for play that is sampled"),
        (["--discount=1"], "below 1 with an infinite horizon"),
        (["--game=tandem", "--mode=sampled"], "no rounds to sample"),
        (["--game=tandem", "--discount=0.9"], "--discount is for play"),
        (["--game=tandem", "--learners=naive_vs_random"], "no policies"),
        (["--game=tandem", "--learners=pola"], "no policies"),
        (
            ["--mode=sampled", "--learners=lola_surrogate_vs_lola"],
            "all players share its objective",
        ),
    ],
)
def test_flags_that_do_not_fit_are_refused(
    arguments: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _methods(*arguments)


def test_a_mistake_is_one_line(tmp_path) -> None:
    with pytest.raises(SystemExit, match="Error: A method must be one of"):
        _run(tmp_path, "--learners=lolo")
