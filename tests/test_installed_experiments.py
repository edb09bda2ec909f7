"""The experiments under the name that an installation gives them."""

import os
import pathlib
import runpy
import subprocess
import sys

import pytest

from tests import import_rules
from tests.import_rules import Module

ROOT = pathlib.Path(__file__).resolve().parents[1]
INSTALLED = "dice_tf_experiments"
EXPERIMENTS = import_rules.read_package(ROOT / "experiments")


@pytest.fixture(scope="module")
def declared():
    """What setup.py passes to setuptools."""
    setuptools = pytest.importorskip("setuptools")
    given = {}
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(
            setuptools, "setup", lambda **options: given.update(options)
        )
        runpy.run_path(str(ROOT / "setup.py"))
    return given


@pytest.mark.parametrize("module", EXPERIMENTS, ids=lambda module: module.name)
def test_experiments_do_not_say_what_their_package_is_called(module) -> None:
    assert import_rules.absolute_import_faults(module) == []


@pytest.mark.parametrize(
    "source",
    [
        "from experiments.ipd import run",
        "import experiments",
        "def f():\n  from dice_tf_experiments import ipd",
    ],
)
def test_an_import_by_name_is_found(source: str) -> None:
    (fault,) = import_rules.absolute_import_faults(
        Module("experiments.play", source)
    )
    assert "experiments.play: line" in fault and "by its name" in fault


def test_relative_imports_and_those_of_libraries_are_accepted() -> None:
    source = "from . import ipd\nfrom .coins import bots\nimport dice_tf"
    module = Module("experiments.play", source)
    assert import_rules.absolute_import_faults(module) == []


def test_all_modules_and_files_are_installed(declared) -> None:
    installed = {
        name.replace(INSTALLED, "experiments")
        for name in declared["packages"]
        if name.startswith(INSTALLED)
    }
    assert installed == {module.package for module in EXPERIMENTS}
    assert declared["package_dir"] == {INSTALLED: "experiments"}
    folder = ROOT / "experiments"
    data = {
        path
        for name, patterns in declared["package_data"].items()
        if name.startswith(INSTALLED)
        for pattern in patterns
        for path in folder.joinpath(*name.split(".")[1:]).glob(pattern)
    }
    others = {
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert data == others and len(data) == 2


def test_no_module_is_loaded_under_both_names(tmp_path) -> None:
    """Keras would register a class twice, and keep the later one."""
    (tmp_path / INSTALLED).symlink_to(ROOT / "experiments")
    code = (
        "import importlib, pkgutil, sys\n"
        f"import {INSTALLED} as package\n"
        "found = list(pkgutil.walk_packages(package.__path__, "
        f"'{INSTALLED}.'))\n"
        "for module in found: importlib.import_module(module.name)\n"
        "print(len(found), 'experiments' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # All but the package itself; one module only gives a name to its folder.
    assert done.stdout.split() == [str(len(EXPERIMENTS) - 1), "False"]


def test_the_command_is_installed(declared) -> None:
    (script,) = declared["entry_points"]["console_scripts"]
    assert script == f"dice-tf = {INSTALLED}.__main__:main"
    found = {module.name: module.source for module in EXPERIMENTS}
    assert "import main\n" in found["experiments.__main__"]
