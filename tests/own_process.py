"""Runs the tests of some modules in processes of their own.

TensorFlow keeps each program that XLA has compiled until its process ends. A
module that compiles many says so,

  pytestmark = pytest.mark.own_process

and all of it runs in a child, which gives the memory back when it ends.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

# The file in which a child writes its reports, one JSON object a line.
_FILE = "DICE_TF_TEST_REPORTS"
# Of what a child printed, in the report of a test that it has none of.
_MOST_CHARACTERS = 5000
# By module, the reports of each of its tests.
_REPORTS = pytest.StashKey()


class Writer:
    """Writes what came of each test, in a child."""

    def __init__(self, config, path):
        self._config, self._path = config, path

    def pytest_runtest_logreport(self, report):
        content = self._config.hook.pytest_report_to_serializable(
            config=self._config, report=report
        )
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(f"{json.dumps(content)}\n")


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "own_process: the tests of the module run in a child."
    )
    config.stash[_REPORTS] = {}
    if _FILE in os.environ:
        config.pluginmanager.register(Writer(config, os.environ[_FILE]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    if _FILE in os.environ or not item.get_closest_marker("own_process"):
        return None
    by_module = item.config.stash[_REPORTS]
    if item.path not in by_module:
        by_module[item.path] = _reports_of_a_child(item)
    hook, place = item.ihook, {"nodeid": item.nodeid, "location": item.location}
    hook.pytest_runtest_logstart(**place)
    for report in by_module[item.path][item.nodeid]:
        hook.pytest_runtest_logreport(report=report)
    # Of the test before, which left what this one would have shared.
    item.session._setupstate.teardown_exact(nextitem)
    hook.pytest_runtest_logfinish(**place)
    return True


def _reports_of_a_child(item):
    """Returns the reports of all chosen tests of a module, by name."""
    items = [x for x in item.session.items if x.path == item.path]
    reports = {x.nodeid: [] for x in items}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "reports"
        path.touch()
        child = _run(item.config, reports, path)
        for line in path.read_text(encoding="utf-8").splitlines():
            report = item.config.hook.pytest_report_from_serializable(
                config=item.config, data=json.loads(line)
            )
            if isinstance(report.longrepr, list):
                # JSON has no tuples, and this is where and why one skips.
                report.longrepr = tuple(report.longrepr)
            reports[report.nodeid].append(report)
    for x in items:
        # The last report of a test is that of its teardown.
        if not reports[x.nodeid] or reports[x.nodeid][-1].when != "teardown":
            reports[x.nodeid].append(_died(x, child))
    return reports


def _run(config, names, path):
    """Runs tests in a child, which writes their reports to a file."""
    options = ["-p", "no:xdist", "-p", "no:cacheprovider"]
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *options),
            f"--rootdir={config.rootpath}",
            f"--seed={config.getoption('seed')}",
            f"--tb={config.getoption('tbstyle')}",
            *names,
        ],
        cwd=config.rootpath,
        env={**os.environ, _FILE: str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def _died(item, child):
    """Returns the report of a test that a child did not end."""
    text = (child.stdout + child.stderr)[-_MOST_CHARACTERS:]
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome="failed",
        longrepr=f"The child ended with status {child.returncode}:\n{text}",
        when="call",
    )
