"""Checks as they are written and read."""

from experiments.results.check_list import above, at_most, read_checks, summary
from experiments.results.outputs import write_json


def test_checks_are_read_as_they_were_written(tmp_path) -> None:
    path = tmp_path / "summary.json"
    checks = [at_most("a", 0.5, 1.0), above("b", float("nan"), 2.0)]
    write_json(path, {**summary(checks), "seconds": 1.0})
    first, second = read_checks(path)
    assert first == checks[0]
    assert second.measured != second.measured and not second.passed
