"""Modules whose tests run in a child."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]

CONFTEST = """
pytest_plugins = ["tests.own_process"]

def pytest_addoption(parser):
    parser.addoption("--seed", type=int, default=0)
"""

MODULE = """
import os
import pytest

pytestmark = pytest.mark.own_process

def test_runs_elsewhere():
    assert os.getppid() == int(os.environ["STARTED_BY"])

@pytest.mark.parametrize("number", [1, 2])
def test_of_a_number(number):
    assert number == 1, "so it is"

@pytest.mark.skip(reason="not now")
def test_skipped():
    pass

def test_dies():
    os._exit(7)

def test_after_it():
    pass
"""

HERE = """
import os

def test_runs_here():
    os.environ["STARTED_BY"] = str(os.getpid())
"""

# In another folder: what the tests before have set up must be gone.
LAST = """
def test_runs_last():
    pass
"""


def test_what_came_in_a_child_is_reported(tmp_path):
    for folder, name, text in (
        (".", "conftest.py", CONFTEST),
        ("a", "test_here.py", HERE),
        ("a", "test_there.py", MODULE),
        ("b", "test_last.py", LAST),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, f"--rootdir={tmp_path}", tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout
    assert done.returncode == 1, output + done.stderr
    assert "test_here.py::test_runs_here PASSED" in output
    for name, outcome in (
        ("test_runs_elsewhere", "PASSED"),
        ("test_of_a_number[1]", "PASSED"),
        ("test_of_a_number[2]", "FAILED"),
        ("test_skipped", "SKIPPED (not now)"),
        ("test_dies", "FAILED"),
        ("test_after_it", "FAILED"),
    ):
        assert f"test_there.py::{name} {outcome}" in output
    assert "AssertionError: so it is" in output
    assert "The child ended with status 7" in output
    assert "3 failed, 4 passed, 1 skipped" in output
