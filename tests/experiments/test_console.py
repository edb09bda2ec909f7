"""The command `dice-tf`, as it is installed."""

import os
import re
import subprocess
import sys

import pytest

from experiments.command_line import console
from tests.experiments.commands import ROOT
from tests.experiments.test_commands import COMMANDS


@pytest.fixture(scope="module")
def dice_tf_command(tmp_path_factory):
    """Runs the command in a folder where only installed names are found."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / console.INSTALLED).symlink_to(ROOT / "experiments")
    (folder / "dice_tf").symlink_to(ROOT / "dice_tf")

    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", console.INSTALLED, *arguments],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_every_experiment_has_a_line_of_its_own() -> None:
    found = console.summaries()
    assert sorted(found) == sorted([*COMMANDS, "rerun", "sweep"])
    assert len(set(found.values())) == len(found)
    for text in found.values():
        assert re.fullmatch("[A-Z].*[.]", text)


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_lists_all_experiments(dice_tf_command, arguments) -> None:
    done = dice_tf_command(*arguments)
    assert done.returncode == 0 and not done.stderr
    assert "dice-tf EXPERIMENT --output_dir=FOLDER" in done.stdout
    for name, text in console.summaries().items():
        assert re.search(f"^  {name} +{re.escape(text)}$", done.stdout, re.M)


def test_help_imports_no_experiment_and_no_library() -> None:
    code = (
        "import sys\n"
        "from experiments.__main__ import main\n"
        "sys.argv = ['dice-tf', '--help']\n"
        "main()\n"
        "print({'absl', 'dice_tf', 'numpy', 'tensorflow', 'experiments.ipd'}"
        " & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mam", "'mam'. Did you mean maml? `dice-tf --help` lists"),
        ("coin-game", "Did you mean coin_game or "),
        ("tournement", "Did you mean tournament"),
        ("--output_dir=x", "'--output_dir=x'. `dice-tf --help` lists all"),
        ("experiments", "'experiments'. "),
        ("__main__", "'__main__'. "),
    ],
)
def test_an_unknown_experiment_is_refused(dice_tf_command, name, hint) -> None:
    done = dice_tf_command(name, "--help")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: there is no experiment called ")
    assert hint in done.stderr and done.stderr.count("\n") == 1


def test_help_of_an_experiment_is_that_of_its_module(dice_tf_command) -> None:
    shown = dice_tf_command("ipd", "--help")
    by_module = subprocess.run(
        [sys.executable, "-m", "experiments.ipd", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert shown.returncode == by_module.returncode
    expected = by_module.stdout.replace("python -m experiments.", "dice-tf ")
    assert "  dice-tf ipd --output_dir=runs/ipd\n" in expected
    # absl starts the list of flags with the file that defines them.
    folder = str(ROOT / "experiments")
    said = re.sub(rf"\S*{console.INSTALLED}/", f"{folder}/", shown.stdout)
    assert said == expected


def test_a_mistake_ends_an_experiment_as_its_module(dice_tf_command) -> None:
    done = dice_tf_command("ipd", "--batch_size=0", "--output_dir=x")
    assert done.returncode == 1
    assert "--batch_size=0: 0 is not a positive integer" in done.stderr
    assert "Traceback" not in done.stderr


def test_hints_name_the_command_that_was_typed() -> None:
    assert console.started_by("dice_tf_experiments.ipd") == ["dice-tf", "ipd"]
    for module in ("experiments.ipd", "benchmarks.memory", "ipd"):
        assert console.started_by(module) == ["python", "-m", module]


def test_an_experiment_of_the_command_is_the_one_of_the_clone(
    dice_tf_command, tmp_path
) -> None:
    """A run that was started by one is continued by the other."""
    arguments = (
        "play",
        "--policy=grim_trigger",
        "--batch_size=2",
        "--num_moves=3",
        f"--output_dir={tmp_path}",
    )
    done = dice_tf_command(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"\nFiles: {tmp_path}\n")
    digests = [(tmp_path / "config.json").read_text()]
    subprocess.run(
        [sys.executable, "-m", f"experiments.{arguments[0]}", "--overwrite"]
        + [*arguments[1:]],
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=True,
    )
    digests.append((tmp_path / "config.json").read_text())
    first, second = (re.search('"digest": .*', text)[0] for text in digests)
    assert first == second
