"""Which run it is that a folder belongs to.

The record lies beside the checkpoints. It is compared before anything is
written: a checkpoint alone is found by its name, so that a run of other
methods would pass it by.
"""

import hashlib
import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

_MOST_DIFFERENCES = 8


class RunRecord(NamedTuple):
    """What a run is, in JSON.

    Attributes:
      experiment: the module that is run, such as `experiments.ipd`.
      configuration: by name, all that determines the results.
      command: the whole command that continues the run.
      overwrite: whether the run may replace an earlier one.
      arguments: the flags that were given and shape the results, as typed.
    """

    experiment: str
    configuration: Mapping[str, Any]
    command: str
    overwrite: bool = False
    arguments: Sequence[str] = ()

    @property
    def digest(self) -> str:
        """A short text that is another one for every other run."""
        content = [self.experiment, self.configuration]
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, found: "RunRecord") -> str:
        """Says what is different in another record, `""` if nothing is."""
        first, second = (
            {
                "experiment": record.experiment,
                "configuration": record.configuration,
            }
            for record in (found, self)
        )
        texts = list(_differences("", first, second))
        more = len(texts) - _MOST_DIFFERENCES
        shown = "; ".join(texts[:_MOST_DIFFERENCES])
        return f"{shown}; and {more} more" if more > 0 else shown


def read_record(path: pathlib.Path) -> RunRecord | None:
    """Reads a record, `None` if there is no file.

    Raises:
      ValueError: if the file is damaged, or of another kind.
    """
    try:
        record = RunRecord(**json.loads(path.read_text(encoding="utf-8")))
        if not isinstance(record.configuration, dict):
            raise ValueError("it has no configuration")
    except FileNotFoundError:
        return None
    except (OSError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(
            f"{str(path)!r} does not say which run was interrupted, or is "
            f"damaged: {error}. Start anew with --overwrite."
        ) from error
    return record


def _differences(name: str, found: Any, expected: Any) -> Iterator[str]:
    """Yields what differs between two pieces of JSON, by dotted name."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in dict.fromkeys([*found, *expected]):
            dotted = f"{name}.{key}" if name else key
            yield from _differences(dotted, found.get(key), expected.get(key))
    elif found != expected:
        yield f"`{name}` is {found!r} there and {expected!r} here"
