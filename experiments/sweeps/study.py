"""The storage of a sweep, which several workers share.

Trials and their values lie in an SQLite file, by Optuna. A worker holds a lock
for the trial that it works on, which the kernel releases however the worker
ends. A trial that is running by the storage, and whose lock is free, has lost
its worker: the next worker takes it over. So no trial is lost or made twice.
"""

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import optuna

from ..results.run_record import RunRecord
from .search_space import Range

_STORAGE = "sweep.db"
_NAME = "sweep"
_RECORD = "record"
_LOCK = ".sweep.lock"
_TRIALS = "trials"
# Seconds until a worker gives up to write to the storage.
_TIMEOUT = 60

RUNNING = optuna.trial.TrialState.RUNNING
PRUNED = optuna.trial.TrialState.PRUNED
FAILED = optuna.trial.TrialState.FAIL
COMPLETE = optuna.trial.TrialState.COMPLETE


class StartedTrial(NamedTuple):
    """A trial that this worker works on.

    Attributes:
      trial: of Optuna.
      folder: of its run.
      reported: epochs that an earlier worker has reported.
    """

    trial: optuna.trial.Trial
    folder: pathlib.Path
    reported: frozenset[int] = frozenset()


class Sweep:
    """A search, in a folder.

    Args:
      path: the folder; made if it is not there.
      record: what is searched. Another sweep in the folder is refused.
      space: by flag.
      pruner: name of the pruner, `median` or `none`.
      seed: of the settings that are tried.

    Raises:
      ValueError: if the folder holds another sweep, or other files.
    """

    def __init__(
        self,
        path: str,
        record: RunRecord,
        space: Mapping[str, Range],
        *,
        pruner: str = "median",
        seed: int = 0,
    ):
        self.path = pathlib.Path(path)
        self._space = {x: _distribution(y) for x, y in space.items()}
        self._pruner, self._seed = _PRUNERS[pruner], seed
        place = self.path / _STORAGE
        if self.path.exists() and not place.exists():
            if [x for x in os.listdir(path) if x not in (_LOCK, _TRIALS)]:
                raise ValueError(
                    f"--output_dir={path!r} holds other files than those of a "
                    "sweep. Choose another folder."
                )
        (self.path / _TRIALS).mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._storage = optuna.storages.RDBStorage(
                f"sqlite:///{place.resolve()}",
                engine_kwargs={"connect_args": {"timeout": _TIMEOUT}},
            )
            study = optuna.create_study(
                storage=self._storage,
                study_name=_NAME,
                direction="maximize",
                load_if_exists=True,
            )
            self._refuse_other_sweep(study, record)
            study.set_user_attr(_RECORD, record._asdict())

    def _refuse_other_sweep(
        self, study: optuna.Study, record: RunRecord
    ) -> None:
        if _RECORD not in study.user_attrs:
            return
        found = RunRecord(**study.user_attrs[_RECORD])
        if differences := record.differences(found):
            raise ValueError(
                f"--output_dir={str(self.path)!r} holds another sweep: "
                f"{differences}. Choose another folder."
            )

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """Returns all trials, in the order of their numbers."""
        return self._study(0).get_trials()

    @contextlib.contextmanager
    def next_trial(self, num_trials: int) -> Iterator[StartedTrial | None]:
        """Yields a trial to work on, `None` if there is nothing left to do.

        Args:
          num_trials: number of trials of the sweep.
        """
        with contextlib.ExitStack() as stack:
            with self._locked():
                number = self._take_over(stack)
                trials = self.trials()
                if number is None and len(trials) < num_trials:
                    # Otherwise workers that start alike would try the same.
                    study = self._study(self._seed + len(trials))
                    number = study.ask(self._space).number
                    stack.enter_context(self._held(number))
            yield None if number is None else self._started(number)

    def _take_over(self, stack: contextlib.ExitStack) -> int | None:
        """Returns the number of a trial that has lost its worker."""
        for trial in self.trials():
            if trial.state == RUNNING:
                with contextlib.suppress(BlockingIOError):
                    stack.enter_context(self._held(trial.number))
                    return trial.number
        return None

    def _started(self, number: int) -> StartedTrial:
        study = self._study(self._seed + number)
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(
            self._storage.get_study_id_from_name(_NAME), number
        )
        folder = self.path / _TRIALS / f"{number:04}"
        reported = frozenset(study.get_trials()[number].intermediate_values)
        return StartedTrial(
            optuna.trial.Trial(study, trial_id), folder, reported
        )

    def tell(
        self,
        number: int,
        value: float | None,
        state: optuna.trial.TrialState,
    ) -> None:
        """Says how a trial has ended.

        Args:
          number: of the trial.
          value: what it has reached, `None` unless it is complete.
          state: how it has ended.
        """
        self._study(0).tell(number, value, state=state)

    def _study(self, seed: int) -> optuna.Study:
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        return optuna.load_study(
            storage=self._storage,
            study_name=_NAME,
            sampler=sampler,
            pruner=self._pruner(),
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Lets one worker at a time start or take over a trial."""
        with open(self.path / _LOCK, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _held(self, number: int) -> Iterator[None]:
        """Holds a trial, or raises if a worker that is alive holds it."""
        with open(self.path / _TRIALS / f"{number:04}.lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield


_PRUNERS = {
    "median": optuna.pruners.MedianPruner,
    "none": optuna.pruners.NopPruner,
}


def _distribution(
    found: Range,
) -> optuna.distributions.BaseDistribution:
    """Returns a range as Optuna's."""
    if found.choices:
        return optuna.distributions.CategoricalDistribution(found.choices)
    if found.is_whole:
        return optuna.distributions.IntDistribution(
            found.low, found.high, log=found.log, step=found.step or 1
        )
    return optuna.distributions.FloatDistribution(
        found.low, found.high, log=found.log, step=found.step
    )
