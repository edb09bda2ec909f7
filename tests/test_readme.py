"""The README: what it prints runs, and what it names is there."""

import json
import pathlib
import re
import subprocess
import sys

import pytest
import tensorflow as tf

import dice_tf
from tests.export.serving import predict

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
    for name in ("tit_for_tat/saved_model.pb", "tit_for_tat.tflite"):
        assert (tmp_path / "runs" / name).is_file()
    assert (tmp_path / "runs/tit_for_tat.onnx").is_file()


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_embedding_is_the_examples() -> None:
    text = section("Embedding")
    linked = re.findall(r"\[(\w+)\]\(examples/(\w+)\.py\)", text)
    assert all(name == target for name, target in linked)
    files = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert sorted(name for name, _ in linked) == sorted(files - {"__init__"})
    (printed,) = re.findall(r"^```python\n(.*?)^```$", text, re.S | re.M)
    named = re.findall(r"\[(\w+)\]\(\S+\) \|.*printed below", text)
    assert [printed] == [
        (ROOT / "examples" / f"{name}.py").read_text() for name in named
    ]


def test_requests_to_a_server_are_answered(tmp_path) -> None:
    game = dice_tf.games.iterated_prisoners_dilemma()
    policy = dice_tf.policies.tit_for_tat(game, 0)
    dice_tf.export.export_policy(policy, tmp_path / "1")
    loaded = tf.saved_model.load(tmp_path / "1")
    requests = re.findall(r"curl .* -d '(.*)'$", section("Deployment"), re.M)
    first, second = (json.loads(predict(loaded, body)) for body in requests)
    assert first == {"predictions": [[1.0, 0.0]]}
    assert second["outputs"]["action"] == [0]


@pytest.mark.parametrize("path", re.findall(r"\]\(([\w/.]+)\)", README))
def test_pictures_are_there(path: str) -> None:
    assert (ROOT / path).is_file()


@pytest.mark.parametrize(
    "name",
    sorted(set(re.findall(r"((?:experiments|benchmarks)\.\w+)", README))),
)
def test_commands_are_there(name: str) -> None:
    assert (ROOT / name.replace(".", "/")).with_suffix(".py").is_file()
