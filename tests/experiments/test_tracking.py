"""What --log_to logs, by Keras' own callbacks and those of the trackers."""

import contextlib
import csv
import importlib.util
import json
import pathlib
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from experiments import coin_game, compare_learners, ipd, negotiation
from experiments.building import tracking, trainings
from experiments.results.outputs import OutputFolder
from experiments.results.run_record import RunRecord
from tests.experiments.parsed_flags import (
    parsed_flags,
    run_command,
    settings_of,
)

RECORD = RunRecord("experiments.ipd", {"seed": 0}, "python -m experiments.ipd")
LOGS = pathlib.Path("logs", RECORD.digest[:8])
# Five epochs of two iterations each.
TINY = settings_of(
    "--num_iterations=10",
    "--num_seeds=2",
    "--batch_size=4",
    "--episode_length=3",
    "--nojit_compile",
)


@pytest.fixture(autouse=True)
def five_epochs(monkeypatch) -> None:
    monkeypatch.setattr(trainings, "_MOVES", 5)


def _folder(path, *log_to: str, **options) -> OutputFolder:
    return OutputFolder(path, record=RECORD, log_to=log_to, **options)


def _train(path, *log_to: str) -> np.ndarray:
    """Trains and returns the joint return of each epoch."""
    trained = trainings.train_methods({"naive": TINY}, _folder(path, *log_to))
    curves = trained["naive"].curves.astype(np.float64)
    return curves.mean(axis=(1, 2)).reshape(5, 2).mean(axis=1)


def _rows(path: pathlib.Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_epochs_are_logged_to_csv_and_tensorboard(tmp_path) -> None:
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    expected = _train(tmp_path, "csv", "tensorboard")
    rows = _rows(tmp_path / LOGS / "naive.csv")
    assert [int(row["epoch"]) for row in rows] == list(range(5))
    found = [float(row["joint/return"]) for row in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    events = event_accumulator.EventAccumulator(
        str(tmp_path / LOGS / "naive" / "train"), {"tensors": 0}
    )
    events.Reload()
    logged = events.Tensors("epoch_joint/return")
    assert [event.step for event in logged] == list(range(5))
    found = [tf.make_ndarray(event.tensor_proto) for event in logged]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_nothing_is_logged_unless_asked_for(tmp_path) -> None:
    with tracking.tracked(_folder(tmp_path), "naive", TINY) as callbacks:
        assert callbacks == []
    assert list(tmp_path.iterdir()) == []


def _log(callbacks, values: list[float]) -> None:
    """Calls callbacks as `fit` does."""
    for callback in callbacks:
        callback.on_train_begin()
        for epoch, value in enumerate(values):
            callback.on_epoch_end(epoch, {"loss": value})
        callback.on_train_end()


def test_a_csv_goes_on_or_starts_anew(tmp_path) -> None:
    def log(is_resumed: bool, *values: float) -> list[str]:
        folder = _folder(tmp_path, "csv")
        folder.is_resumed = is_resumed
        with tracking.tracked(folder, "naive", TINY) as callbacks:
            for value in values:
                _log(callbacks, [value])
        return [row["loss"] for row in _rows(tmp_path / LOGS / "naive.csv")]

    # Several calls of `fit` write one file.
    assert log(False, 1.0, 2.0) == ["1.0", "2.0"]
    assert log(True, 3.0) == ["1.0", "2.0", "3.0"]
    assert log(False, 4.0) == ["4.0"]


class _Recorder(keras.callbacks.Callback):
    """What a tracker's own callback is, as far as `fit` knows it."""

    def __init__(self, *arguments):
        super().__init__()
        self.arguments, self.seen = arguments, []

    def on_epoch_end(self, epoch, logs=None) -> None:
        self.seen.append(logs["loss"])


class _Run:
    """A run of a tracker, which knows whether it has ended."""

    def __init__(self, name: str):
        self.id = name
        self.info = types.SimpleNamespace(run_id=name)
        self.has_ended = False

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.has_ended = True


@pytest.fixture
def started(monkeypatch) -> list:
    """Stands in for the trackers, and lists what was started with what."""
    started = []

    def start(**options) -> _Run:
        found = options.get("id") or options.get("run_id")
        started.append((_Run(found or f"new{len(started)}"), options))
        return started[-1][0]

    modules = {
        "wandb": {"init": start},
        "wandb.integration": {},
        "wandb.integration.keras": {"WandbMetricsLogger": _Recorder},
        "mlflow": {
            "start_run": start,
            "log_params": lambda params: started[-1][1].update(params=params),
        },
        "mlflow.tensorflow": {"MlflowCallback": _Recorder},
    }
    for name, content in modules.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return started


def _track(path, tracker: str, is_resumed: bool = False) -> _Recorder:
    folder = _folder(path, tracker)
    folder.is_resumed = is_resumed
    with tracking.tracked(folder, "naive", TINY) as callbacks:
        _log(callbacks, [1.0, 2.0])
    return callbacks[0]


@pytest.mark.parametrize(
    ("tracker", "key"), [("wandb", "id"), ("mlflow", "run_id")]
)
def test_trackers_get_settings_and_metrics_and_go_on(
    tmp_path, started, tracker, key
) -> None:
    assert _track(tmp_path, tracker).seen == [1.0, 2.0]
    ((run, options),) = started
    assert run.has_ended and options[key] is None
    settings = options["config" if tracker == "wandb" else "params"]
    assert settings["learner"] == list(TINY.learner)
    assert settings["batch_size"] == 4
    _track(tmp_path, tracker, is_resumed=True)
    assert started[1][1][key] == run.id
    _track(tmp_path, tracker)
    assert started[2][1][key] is None


def test_a_tracker_is_told_of_an_error(tmp_path, started) -> None:
    with (
        contextlib.suppress(KeyboardInterrupt),
        tracking.tracked(_folder(tmp_path, "wandb"), "naive", TINY),
    ):
        raise KeyboardInterrupt
    assert started[0][0].has_ended


# MLflow calls SQLAlchemy in a way that is deprecated there.
@pytest.mark.filterwarnings("default::DeprecationWarning")
def test_epochs_are_logged_to_mlflow(tmp_path, monkeypatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    # Its artifacts go to the working folder.
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    expected = _train(tmp_path, "mlflow")
    run_id = (tmp_path / LOGS / "naive.mlflow_id").read_text()
    history = mlflow.MlflowClient().get_metric_history(run_id, "joint/return")
    np.testing.assert_allclose([x.value for x in history], expected, rtol=1e-5)
    assert mlflow.get_run(run_id).data.params["batch_size"] == "4"


def test_epochs_are_logged_to_wandb(tmp_path, monkeypatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    seen = []
    from wandb.integration.keras import WandbMetricsLogger

    log = WandbMetricsLogger.on_epoch_end

    def on_epoch_end(self, epoch, logs=None) -> None:
        seen.append(logs["joint/return"])
        log(self, epoch, logs)

    monkeypatch.setattr(WandbMetricsLogger, "on_epoch_end", on_epoch_end)
    expected = _train(tmp_path, "wandb")
    np.testing.assert_allclose(seen, expected, rtol=1e-5)
    name = (tmp_path / LOGS / "naive.wandb_id").read_text()
    (file,) = (tmp_path / LOGS / "wandb").glob("offline-run-*/run-*.wandb")
    assert name in file.name


@pytest.mark.parametrize("tracker", ["mlflow", "tensorboard", "wandb"])
@pytest.mark.parametrize(
    "command", [ipd, compare_learners, coin_game, negotiation]
)
def test_without_its_library_a_tracker_names_the_extra(
    tmp_path, monkeypatch, command, tracker
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == tracker else find(name),
    )
    message = rf'--log_to={tracker} needs {tracker}: .*"dice_tf\[{tracker}\]"'
    with pytest.raises(SystemExit, match=message):
        run_command(
            command.COMMAND,
            f"--log_to=csv,{tracker}",
            f"--output_dir={tmp_path / 'out'}",
        )
    assert not (tmp_path / "out").exists()


def test_an_unknown_tracker_is_refused() -> None:
    with (
        pytest.raises(Exception, match="'csv,cvs' is not a comma list of csv"),
        parsed_flags("--log_to=csv,cvs"),
    ):
        pass


def test_tracking_does_not_make_another_run(tmp_path) -> None:
    records = []
    for arguments in ((), ("--log_to=csv",)):
        with parsed_flags(*arguments) as values:
            settings = ipd.COMMAND.resolve(values)
            records.append(ipd.COMMAND.record(settings))
    assert records[0].digest == records[1].digest
    assert records[0].arguments == records[1].arguments
    assert "--log_to=csv" in records[1].command


def test_coin_game_and_negotiation_log_each_update(tmp_path) -> None:
    for command, arguments in (
        (coin_game, ("--learner=naive", "--hidden_units=4")),
        (negotiation, ("--hidden_units=4", "--learner=actor_critic")),
    ):
        out = tmp_path / command.__name__
        run_command(
            command.COMMAND,
            *arguments,
            "--num_iterations=3",
            "--num_seeds=2",
            "--batch_size=2",
            "--episode_length=3",
            "--log_to=csv",
            f"--output_dir={out}",
        )
        (path,) = (out / "logs").glob("*/*.csv")
        assert [int(row["epoch"]) for row in _rows(path)] == [0, 1, 2]
        config = json.loads((out / "config.json").read_text())
        assert "logs" not in config["files"]
