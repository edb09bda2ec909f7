"""The README: what it prints runs, and what it names is there."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.S | re.M)


def test_the_first_two_blocks_are_one_line_each() -> None:
    first, second = re.findall(r"^```\w*\n(.*?)^```$", README, re.S | re.M)[:2]
    for command in (first, second):
        assert command.count("\n") == 1
        assert command.startswith("python3.11 -m venv .venv && ")
    assert "-m experiments.ipd" in first and "-m pytest" in second


def test_the_examples_run_one_after_the_other(tmp_path) -> None:
    source = "\n".join(blocks("python"))
    # As printed, but for the number of iterations.
    assert source.count("epochs=20") == 1
    source = source.replace("epochs=20", "epochs=1")
    run = subprocess.run(
        [sys.executable, "-c", source],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "probabilities" in run.stdout
    assert (tmp_path / "runs/tit_for_tat/saved_model.pb").is_file()


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150
    assert len(README.split()) <= 1000


@pytest.mark.parametrize("path", re.findall(r"\]\(([\w/.]+)\)", README))
def test_pictures_and_pages_are_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(
    "name",
    sorted(set(re.findall(r"((?:experiments|benchmarks|docs)\.\w+)", README))),
)
def test_commands_are_there(name: str) -> None:
    assert (ROOT / name.replace(".", "/")).with_suffix(".py").is_file()
