"""The folder of results: all files of a run appear there, or none."""

import contextlib
import fnmatch
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence

from .folder_lock import locked
from .json_files import write_json
from .run_record import RunRecord, read_record

__all__ = ["OutputFolder", "open_folder", "optional", "publish", "write_json"]

CONFIG = "config.json"
CURVES = "curves.csv"
FLAGS = "flags.txt"
SUMMARY = "summary.json"
SAVED_MODELS = "saved_model"
TOURNAMENT = "tournament.csv"

# Entries of config.json: the names that the run has written, and the SHA-256
# digest of each file; its experiment, the flags that it was given, and its
# digest; and the versions of dice_tf and its libraries.
FILES = "files"
HASHES = "sha256"
EXPERIMENT = "experiment"
ARGUMENTS = "arguments"
DIGEST = "digest"
VERSIONS = "versions"

# These are there while a run goes on.
_CHECKPOINTS = ".checkpoints"
_RECORD = "run.json"
_STAGE = ".unfinished-"
# Results that could not be published for a file in their way.
_UNPUBLISHED = "unpublished-"

# Names that experiments write: signs of an earlier run, or files of a user's
# that would be replaced. The summary comes last: with it, all is there.
_MARKS = (
    SUMMARY,
    CURVES,
    TOURNAMENT,
    CONFIG,
    FLAGS,
    SAVED_MODELS,
    "coins.csv",
    "comparison.csv",
    "cross_play.csv",
    "improvement.csv",
    "league.csv",
    "learning_curves.csv",
    "pair_payoffs.csv",
    "paths.csv",
    "policies.csv",
    "profile.csv",
    "ratings.csv",
    "report.html",
    "baselines_and_batch_sizes.png",
    "cross_play.png",
    "curves.png",
    "episode.gif",
    "episode.png",
    "league.png",
    "learning_curves.png",
    "payoffs.png",
    "phase_portrait.png",
    "policies.png",
    "policies_*.png",
    "random_mdps.png",
    "state_diagram.png",
    "true_and_estimated.png",
)


class OutputFolder:
    """A folder that takes the files of one run, all at the end.

    Files are written into a hidden folder inside, and moved to their names
    when all of them are complete. A run that is interrupted leaves no files,
    and an earlier run stays as it was. Of what is in the folder, only names
    that an earlier run has written, by the list in its config.json, and names
    that this run writes are ever removed or replaced.

    While a run goes on, its checkpoints lie in another hidden folder, beside a
    record of the run. They stay if the run is interrupted, so that it can be
    resumed, and are removed when it has ended.

    Args:
      path: the folder; made if it is not there.
      overwrite: whether to replace an earlier run, and what an interrupted
        one has left.
      resume: whether to continue an interrupted run.
      checkpoint_every: seconds between two checkpoints, at least.
      record: which run this is. Without it, any interrupted run is continued.
      log_to: trackers that training logs to while it goes on.

    Attributes:
      checkpoints: the folder of checkpoints, made when the first is written.
      is_resumed: whether an interrupted run is continued.
      has_finished: whether there is nothing left to continue.

    Raises:
      ValueError: if the path is not a folder that can be made and written, the
        folder holds an earlier or interrupted run, or the one to be resumed is
        another one. Nothing in the folder has changed then.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        overwrite: bool = False,
        resume: bool = False,
        checkpoint_every: float = 0.0,
        record: RunRecord | None = None,
        log_to: Sequence[str] = (),
    ):
        if overwrite and resume:
            raise ValueError("Choose one of --overwrite and --resume.")
        self.path = checked_path(path)
        self.checkpoints = self.path / _CHECKPOINTS
        self.checkpoint_every = checkpoint_every
        self.record = record
        self.log_to = tuple(log_to)
        found = read_record(self.checkpoints / _RECORD) if resume else None
        self.is_resumed = resume and self.has_checkpoints
        self.has_finished = (
            resume and not self.is_resumed and (self.path / SUMMARY).exists()
        )
        self._overwrite = overwrite
        if record is not None and self.has_finished:
            self._refuse_other_results(record)
        if self.has_finished:
            return
        if record is not None and (found is not None or self.is_resumed):
            self._refuse_other_run(record, found)
        if self.is_resumed:
            # It may have had the order to replace an earlier run.
            self._overwrite = found is None or found.overwrite
        self._refuse_earlier_run()
        if self.has_checkpoints and not (resume or overwrite):
            self._refuse_checkpoints()
        with _refused(path):
            self.path.mkdir(parents=True, exist_ok=True)
            # It should be found before the training.
            tempfile.TemporaryFile(dir=self.path).close()
            self._remove_leftovers()

    @contextlib.contextmanager
    def collect(self) -> Iterator[pathlib.Path]:
        """Yields a folder to write to, and publishes it if no error occurs.

        Raises:
          ValueError: if another run, or a user, has put files here in the
            meantime that have the same names. The results are in a folder of
            another name then, which the message tells.
        """
        # Somebody may have removed the folder while the run went on.
        self.path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_STAGE, dir=self.path) as name:
            stage = pathlib.Path(name, "new")
            earlier = pathlib.Path(name, "old")
            stage.mkdir()
            earlier.mkdir()
            yield stage
            try:
                self._refuse_earlier_run(os.listdir(stage))
                self._publish_all(stage, earlier)
            except (OSError, ValueError) as error:
                kept = tempfile.mkdtemp(prefix=_UNPUBLISHED, dir=self.path)
                os.replace(stage, kept)
                raise ValueError(
                    f"{error} The results of this run are in {kept!r}."
                ) from error
        self._remove_checkpoints()

    def checkpoint_path(self, name: str) -> pathlib.Path:
        """Returns the path of the checkpoint of this name.

        From now on the folder says which run its checkpoints belong to.

        Raises:
          ValueError: if that cannot be written.
        """
        place = self.checkpoints / _RECORD
        if self.record is not None and not place.exists():
            with _refused(self.path):
                self._write_record(self.record, place)
        return self.checkpoints / re.sub(r"[^A-Za-z0-9_.-]+", "_", name)

    @property
    def has_checkpoints(self) -> bool:
        """Whether a run has left checkpoints here."""
        return self.checkpoints.is_dir() and any(
            not path.name.startswith(_RECORD)
            for path in self.checkpoints.iterdir()
        )

    def forget_record(self) -> None:
        """Removes the record of a run that has left no checkpoints."""
        if self.checkpoints.is_dir() and not self.has_checkpoints:
            self._remove_checkpoints()

    def _write_record(self, record: RunRecord, place: pathlib.Path) -> None:
        place.parent.mkdir(exist_ok=True)
        unfinished = place.with_name(f"{place.name}-unfinished")
        write_json(unfinished, record)
        publish(unfinished, place)

    def _remove_leftovers(self) -> None:
        """Removes what is left of a run that this one does not continue.

        Of a run that it does continue, these are results that were not whole.
        """
        if not self.is_resumed:
            self._remove_checkpoints()
            return
        for stage in self.path.glob(f"{_STAGE}*"):
            # A link leads to what no run has written.
            if not stage.is_symlink():
                shutil.rmtree(stage)

    def _remove_checkpoints(self) -> None:
        """Removes all or none of them, whenever the process ends."""
        if self.checkpoints.is_dir():
            folder = tempfile.mkdtemp(prefix=_STAGE, dir=self.path)
            os.replace(self.checkpoints, pathlib.Path(folder, "checkpoints"))
            shutil.rmtree(folder, ignore_errors=True)

    def _refuse_checkpoints(self) -> None:
        record = read_record(self.checkpoints / _RECORD)
        raise ValueError(
            f"--output_dir={str(self.path)!r} holds the checkpoints of a run "
            "that was interrupted. Continue it with --resume, start anew with "
            "--overwrite, or choose another folder."
            + (f" To continue it:\n  {record.command}" if record else "")
        )

    def _refuse_other_run(
        self, record: RunRecord, found: RunRecord | None
    ) -> None:
        """Raises if the run to be resumed is not this one."""
        if found is None:
            raise ValueError(
                f"--output_dir={str(self.path)!r} holds checkpoints that do "
                "not say which run they belong to: an earlier version has "
                "left them. Continue with that version, or start anew with "
                "--overwrite."
            )
        if differences := record.differences(found):
            raise ValueError(
                f"--output_dir={str(self.path)!r} holds the checkpoints of "
                f"another run: {differences}. To continue that one:\n"
                f"  {found.command}\nOr start anew with --overwrite, or choose "
                "another folder."
            )

    def _refuse_other_results(self, record: RunRecord) -> None:
        """Raises if the run that has finished here is not this one."""
        config = self._earlier_config()
        if config.get(DIGEST, record.digest) != record.digest:
            command = " ".join(map(str, config.get("command", ())))
            raise ValueError(
                f"--output_dir={str(self.path)!r} holds the results of another "
                f"run, which has finished ({command}). Choose "
                "another folder, or replace that run with --overwrite."
            )

    def _refuse_earlier_run(self, names: Sequence[str] = ()) -> None:
        """Raises if there are files that may not be replaced.

        Args:
          names: of files that are to be published, beside the usual ones.
        """
        if self._overwrite:
            return
        there = sorted(os.listdir(self.path)) if self.path.is_dir() else []
        # The files that say most about a run come first.
        found = dict.fromkeys(
            name
            for mark in (*_MARKS, *names)
            for name in there
            if name == mark or fnmatch.fnmatchcase(name, mark)
        )
        if self.is_resumed:
            # It was killed while it published them.
            listed = self._listed()
            found = {name: None for name in found if name not in listed}
        if found:
            raise ValueError(
                f"--output_dir={str(self.path)!r} holds an earlier run "
                f"({', '.join(found)}), or files of the same names. Choose "
                "another folder, or replace them with --overwrite."
            )

    def _earlier_config(self) -> dict:
        """Returns what an earlier run says of itself, `{}` without any."""
        try:
            text = (self.path / CONFIG).read_text(encoding="utf-8")
            config = json.loads(text)
        except (OSError, RecursionError, ValueError):
            return {}
        return config if isinstance(config, dict) else {}

    def _listed(self) -> list[str]:
        """Returns the names in this folder that an earlier run has written."""
        config = self._earlier_config()
        names, versions = config.get(FILES), config.get(VERSIONS)
        # Other programs, too, have a config.json, and call things files.
        if not isinstance(versions, dict) or "dice_tf" not in versions:
            return []
        return [
            name
            for name in (names if isinstance(names, list) else ())
            # Whatever the file says, nothing outside is touched.
            if isinstance(name, str)
            and name == os.path.basename(name)
            and name not in ("", ".", "..")
        ]

    def _publish_all(self, stage: pathlib.Path, earlier: pathlib.Path) -> None:
        """Moves new files in and earlier ones out, or leaves all as it was."""
        order = {SUMMARY: 2, CONFIG: 0}
        new = sorted(os.listdir(stage), key=lambda x: (order.get(x, 1), x))
        old = {*self._listed(), *new}
        if self.is_resumed:
            # A run that was killed may have left half a configuration.
            old.add(CONFIG)
        moved = []
        try:
            # With the summary, all must be there.
            for name in sorted(old, key=lambda x: x != SUMMARY):
                if os.path.lexists(self.path / name):
                    # A link is moved, and not what it leads to.
                    os.replace(self.path / name, earlier / name)
                    moved.append((earlier / name, self.path / name))
            for name in new:
                publish(stage / name, self.path / name)
                moved.append((self.path / name, stage / name))
        except BaseException:
            for place, origin in reversed(moved):
                os.replace(place, origin)
            raise


@contextlib.contextmanager
def open_folder(
    path: str | os.PathLike,
    record: RunRecord,
    **options: bool | float | Sequence[str],
) -> Iterator[OutputFolder]:
    """Yields a folder that no other process works in meanwhile.

    Args:
      path: the folder; made if it is not there.
      record: which run this is.
      **options: of `OutputFolder`.

    Raises:
      ValueError: as `OutputFolder`, or if another process works in the folder.
    """
    place = checked_path(path)
    with _refused(path):
        place.mkdir(parents=True, exist_ok=True)
    with locked(place, record.command):
        folder = OutputFolder(path, record=record, **options)
        try:
            yield folder
        finally:
            folder.forget_record()


def interrupted_run(path: str | os.PathLike) -> RunRecord | None:
    """Returns which run has left checkpoints in a folder, `None` without any.

    Raises:
      ValueError: if the record is damaged.
    """
    return read_record(pathlib.Path(path, _CHECKPOINTS, _RECORD))


def checked_path(path: str | os.PathLike) -> pathlib.Path:
    """Returns the path of a folder that can be made, if it is not there.

    Raises:
      ValueError: if the name is empty or not UTF-8, or if something is in the
        way.
    """
    if not str(path):
        raise ValueError("--output_dir must name a folder. Received: ''.")
    try:
        os.path.abspath(path).encode()
    except UnicodeEncodeError:
        raise ValueError(
            "--output_dir must have a path in UTF-8: TensorFlow writes to no "
            f"other. Received: {ascii(os.path.abspath(path))}."
        ) from None
    path = pathlib.Path(path)
    with _refused(path):
        for folder in (path, *path.parents):
            if folder.is_dir():
                break
            if folder.is_symlink():
                raise ValueError(
                    f"--output_dir must be a folder. {str(folder)!r} is a "
                    f"symbolic link to {os.readlink(folder)!r}, which is not "
                    "a folder, or is not there."
                )
            if folder.exists():
                raise ValueError(
                    f"--output_dir must be a folder. {str(folder)!r} is a file."
                )
    return path


@contextlib.contextmanager
def _refused(path: str | os.PathLike) -> Iterator[None]:
    """Says of errors of the system which flag they concern."""
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"--output_dir={str(path)!r} cannot be made or written: "
            f"{error.strerror or error}."
        ) from error


@contextlib.contextmanager
def optional(path: pathlib.Path) -> Iterator[None]:
    """Goes on with a warning if a file or folder could not be written.

    Curves and summary are worth more than a picture of them, or than an export
    that a user's model does not allow.

    Args:
      path: of what is written. What there is of it after an error is removed.
    """
    try:
        yield
    except Exception as error:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        print(
            f"Warning: {path.name} was left out, since writing it failed: "
            f"{error}",
            file=sys.stderr,
        )


def publish(unfinished: pathlib.Path, path: pathlib.Path) -> None:
    """Gives a complete file or folder its name, in one step.

    Whatever ends the process, or the machine, either the earlier content is at
    that path or the new one, whole: the new one is on the disk before it gets
    the name.

    Args:
      unfinished: the file or folder, on the same file system as the path.
      path: its name. An earlier file there is replaced.
    """
    parts = [*unfinished.rglob("*")] if unfinished.is_dir() else [unfinished]
    for part in parts:
        if part.is_file():
            with open(part, "rb") as file:
                os.fsync(file.fileno())
    os.replace(unfinished, path)
