"""The measures behind what is known of learners, and their experiment."""

import json
import os
import pathlib

import numpy as np
import pytest
from absl import flags

import dice_tf
from experiments import learner_facts
from experiments.building import trainings
from experiments.building.builders import build_game
from experiments.comparisons import fact_measures as facts
from experiments.comparisons import fact_trainings, public_goods_facts
from experiments.results.outputs import OutputFolder
from experiments.settings.training_settings import TrainingSettings
from tests.experiments.kills import Killed, calls_of, kill_at
from tests.experiments.parsed_flags import parsed_flags, run_command

TINY = (
    "--facts=defector",
    "--num_seeds=1",
    "--num_iterations=3",
    "--batch_size=4",
    "--episode_length=3",
    "--nojit_compile",
)


def _tables(first: list[float], second: list[float]) -> list[np.ndarray]:
    """Returns tables of one run from probabilities of action 0."""
    return [
        np.stack([chances, 1.0 - np.asarray(chances)], axis=-1)[np.newaxis]
        for chances in (first, second)
    ]


def test_coins_are_mixed() -> None:
    mixing = facts.mixing(_tables([0.5] * 5, [0.5] * 5), 0.9)
    np.testing.assert_allclose([mixing.mean, mixing.largest], 0.0, atol=1e-12)
    assert facts.is_mixed(mixing).all()


def test_states_weigh_what_they_are_visited() -> None:
    # Both choose 0 for ever: after the start, only the state 00 is visited.
    first, second = [1.0, 0.5, 0.5, 0.5, 1.0], [1.0, 0.5, 0.5, 0.5, 1.0]
    mixing = facts.mixing(_tables(first, second), 0.9)
    np.testing.assert_allclose(mixing.mean, 0.5)
    # Player 0 is off in a state that is never visited.
    first = [1.0, 0.5, 0.5, 0.0, 1.0]
    np.testing.assert_allclose(
        facts.mixing(_tables(first, second), 0.9).mean, 0.5
    )


def test_states_are_matched_between_seats() -> None:
    # Player 0 chooses 0 and player 1 chooses 1: player 0 is in state 01 after
    # the start, which player 1 sees as 10, where it is off by 0.2.
    first = [0.5, 1.0, 0.5, 0.5, 1.0]
    second = [0.5, 0.5, 0.3, 0.5, 0.0]
    discount = 0.8
    visits = np.zeros(4)
    state, weight = np.eye(5)[4], 1 - discount
    step = np.zeros([5, 5])
    # Joint play in each state as player 0 sees it.
    swapped = np.asarray(second)[[0, 2, 1, 3, 4]]
    for row, (p, q) in enumerate(zip(first, swapped, strict=True)):
        step[row, :4] = [p * q, p * (1 - q), (1 - p) * q, (1 - p) * (1 - q)]
    visits = np.zeros(5)
    for _ in range(400):
        visits += weight * state
        state, weight = state @ step, weight * discount
    expected = max(
        visits @ np.abs(np.asarray(first) - 0.5),
        visits @ np.abs(swapped - 0.5),
    )
    mixing = facts.mixing(_tables(first, second), discount)
    np.testing.assert_allclose(mixing.mean, expected, rtol=1e-6)
    np.testing.assert_allclose(mixing.largest, 0.5)


@pytest.mark.parametrize(
    ("count", "passed"), [(18, True), (17, False), (20, True)]
)
def test_enough_runs(count: int, passed: bool) -> None:
    satisfied = np.arange(20) < count
    check = facts.enough_runs("fact", satisfied, 0.9)
    assert check.passed == passed and check.measured == count
    assert check.required == ">= 18"


def test_cooperation_is_a_share_of_the_gain() -> None:
    finals = np.asarray([[0.0, 0.0, 0.0], [0.5, 0.4, 0.6], [0.2, 0.3, 0.1]])
    np.testing.assert_allclose(
        facts.cooperation(finals, 0.0, 0.5), [0.0, 1.0, 0.4]
    )


def test_the_return_of_a_constant_reward() -> None:
    discounted = sum(0.96**t * -2.0 for t in range(150))
    expected = 0.04 * discounted
    assert facts.constant_return(-2.0, 0.96, 150) == pytest.approx(expected)


def test_a_gain_is_measured_in_standard_errors() -> None:
    generator = np.random.default_rng(5)
    returns = generator.normal(0.5, 0.3, [40, 2])
    others = generator.normal(0.1, 0.2, [30, 3])
    first, second = returns.mean(axis=1), others.mean(axis=1)
    variance = first.var(ddof=1) / 40 + second.var(ddof=1) / 30
    np.testing.assert_allclose(
        facts.gain_in_errors(returns, others),
        (first.mean() - second.mean()) / np.sqrt(variance),
    )
    assert np.isnan(facts.gain_in_errors(returns[:1], others))
    assert facts.gain_in_errors(np.ones([2, 1]), np.zeros([2, 1])) == np.inf


def test_the_names_of_facts_are_those_of_the_flag() -> None:
    assert tuple(learner_facts.measurements()) == learner_facts.FACTS


def _measure(folder: pathlib.Path, *arguments: str) -> int:
    """Returns the exit status: 1 if a check failed."""
    try:
        run_command(
            learner_facts.COMMAND, *TINY, f"--output_dir={folder}", *arguments
        )
    except SystemExit as end:
        if end.code != 1:
            raise
        return 1
    return 0


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("measured")
    _measure(folder)
    return folder


def test_a_fact_is_measured_and_written(measured) -> None:
    assert set(os.listdir(measured)) == {
        "config.json",
        "flags.txt",
        "summary.json",
    }
    checks = json.loads((measured / "summary.json").read_text())["checks"]
    assert len(checks) == 2
    defection = facts.constant_return(-2.0, 0.96, 3)
    for check in checks:
        assert set(check) == {"name", "measured", "required", "passed"}
        assert check["required"] == f">= {defection - 0.1:g}"


class _Untrained(fact_trainings.Record):
    """Keeps settings and makes returns up: near 1 for those who shape."""

    def __init__(self, values: flags.FlagValues) -> None:
        super().__init__(values, folder=None)

    def final_returns(
        self, name: str, settings: TrainingSettings
    ) -> np.ndarray:
        self.settings[name] = settings
        shaping = np.asarray(settings.learner) == "lola_dice"
        noise = np.random.default_rng(7).normal(0.0, 0.2, [6, 1])
        return shaping + noise


def test_who_shapes_is_compared_with_those_who_do_not() -> None:
    with parsed_flags("--num_iterations=2", "--batch_size=4") as values:
        record = _Untrained(values)
        (check,) = public_goods_facts._mixed(record, 3, [(0, 2)])
    noise = np.random.default_rng(7).normal(0.0, 0.2, 6)
    error = np.sqrt(2.0 * noise.var(ddof=1) / 6)
    np.testing.assert_allclose(check.measured, 1.0 / error)
    assert check.required == "> 2" and check.passed
    naive, mixed = record.settings.values()
    assert naive.learner == ("naive",) * 3
    assert mixed.learner == ("lola_dice", "naive", "lola_dice")
    assert mixed.num_iterations == 2 and mixed.batch_size == 4


def test_shapers_are_to_contribute_and_naive_players_to_keep() -> None:
    with parsed_flags("--num_iterations=2") as values:
        cooperates, keeps = public_goods_facts.public_goods(_Untrained(values))
    assert cooperates.required == ">= 6" and cooperates.measured == 6
    # A return of x is 2 x of what contributing gains, nearly, over 150 rounds.
    largest = np.random.default_rng(7).normal(0.0, 0.2, 6).max()
    assert keeps.required == "<= 0.1" and not keeps.passed
    np.testing.assert_allclose(
        keeps.measured, 2.0 * largest / (1.0 - 0.98**150), rtol=1e-6
    )


@pytest.mark.parametrize("num_players", [3, 5])
def test_a_contribution_returns_half_of_itself(num_players: int) -> None:
    learners = ["naive"] * num_players
    recipe = public_goods_facts._AMONG_OTHERS
    with parsed_flags() as values:
        settings = public_goods_facts._settings(values, learners, recipe)
    assert build_game(settings).num_players == num_players
    payoffs = np.asarray(settings.payoffs)
    assert payoffs.shape == (num_players,) + (2,) * num_players
    nobody = (slice(None), *(1,) * num_players)
    everybody = (slice(None), *(0,) * num_players)
    only_the_first = (slice(None), 0, *(1,) * (num_players - 1))
    np.testing.assert_allclose(payoffs[nobody], 0.0)
    np.testing.assert_allclose(payoffs[everybody], num_players / 2 - 1.0)
    np.testing.assert_allclose(
        payoffs[only_the_first], [-0.5] + [0.5] * (num_players - 1)
    )
    assert settings.num_iterations == recipe.num_iterations
    assert settings.batch_size == recipe.batch_size


@pytest.mark.parametrize("num_players", [3, 5])
def test_every_seat_shapes_in_some_line_up_of_several_kinds(
    num_players: int,
) -> None:
    line_ups = public_goods_facts._SHAPING_SEATS[num_players]
    assert set().union(*line_ups) == set(range(num_players))
    assert all(0 < len(seats) < num_players for seats in line_ups)


def test_killed_measurements_are_resumed_and_end_as_if_they_had_not_been(
    measured, tmp_path, monkeypatch, capsys
) -> None:
    """In the second training, whose first epoch has a checkpoint."""
    again = ("--resume", "--checkpoint_every=0")
    with monkeypatch.context() as patch:
        kill_at(patch, trainings.ProgressBar, "on_epoch_end", 5)
        with pytest.raises(Killed):
            _measure(tmp_path, *again)
    with pytest.raises(SystemExit, match="Continue it with --resume"):
        _measure(tmp_path)
    with pytest.raises(SystemExit, match="`configuration.learning_rate` is"):
        _measure(tmp_path, *again, "--learning_rate=0.5")
    epochs = calls_of(monkeypatch, trainings.ProgressBar, "on_epoch_end")
    status = _measure(tmp_path, *again)
    assert len(epochs) == 2
    assert set(os.listdir(tmp_path)) == {
        "config.json",
        "flags.txt",
        "summary.json",
    }
    expected = (measured / "summary.json").read_bytes()
    assert (tmp_path / "summary.json").read_bytes() == expected
    # Nothing is left to do, and it is told again.
    capsys.readouterr()
    assert _measure(tmp_path, *again) == status
    assert len(epochs) == 2
    told = capsys.readouterr().out
    assert "has finished" in told and "worst run" in told


def _pennies(num_seeds: int, num_iterations: int) -> TrainingSettings:
    with parsed_flags(
        f"--num_seeds={num_seeds}",
        f"--num_iterations={num_iterations}",
        "--nojit_compile",
    ) as values:
        return fact_trainings._pennies_settings(values, "naive", True)


def _final_tables(
    folder: pathlib.Path, settings: TrainingSettings
) -> list[np.ndarray]:
    record = fact_trainings.Record(None, OutputFolder(folder, resume=True))
    return record.final_tables("pennies", settings)


def test_policies_are_averaged_over_the_last_iterations(tmp_path) -> None:
    settings = _pennies(2, 3)
    assert settings.game == "matching_pennies" and settings.discount == 0.9
    tables = _final_tables(tmp_path / "own", settings)
    assert [table.shape for table in tables] == [(2, 5, 2)] * 2
    frozen = _final_tables(
        tmp_path / "frozen",
        settings._replace(learning_rate=(0.0, 0.0), num_iterations=1),
    )
    assert not np.allclose(tables[0], frozen[0])


def test_averages_are_resumed_and_kept(tmp_path, monkeypatch) -> None:
    """After a kill before the last iterations, and one among them."""
    settings = _pennies(1, 14)
    expected = _final_tables(tmp_path / "peaceful", settings)
    folder = tmp_path / "killed"
    for owner, name, call in (
        (dice_tf.callbacks.Checkpoint, "save", 2),
        (fact_trainings, "policy_tables", 3),
    ):
        with monkeypatch.context() as patch:
            kill_at(patch, owner, name, call)
            with pytest.raises(Killed):
                _final_tables(folder, settings)
    for found, table in zip(
        _final_tables(folder, settings), expected, strict=True
    ):
        np.testing.assert_array_equal(found, table)
    monkeypatch.delattr(dice_tf.Trainer, "fit")
    for found, table in zip(
        _final_tables(folder, settings), expected, strict=True
    ):
        np.testing.assert_array_equal(found, table)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--facts=", "--facts must hold at least one"),
        ("--facts=defector,weather", "--facts must be some of .*'weather'"),
        ("--game=chicken", "--game is part of each fact"),
        ("--discount=0.5", "--discount is part of each fact"),
    ],
)
def test_flags_that_do_not_fit_are_refused(
    tmp_path, argument: str, message: str
) -> None:
    with pytest.raises(SystemExit, match=message):
        run_command(learner_facts.COMMAND, f"--output_dir={tmp_path}", argument)
