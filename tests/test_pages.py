"""The pages of the documentation: what they print runs, and names exist.

Pages with `{code-cell}` blocks are tutorials, which run when the documentation
is built.
"""

import json
import pathlib
import re

import pytest
import tensorflow as tf

import dice_tf
from benchmarks.public_names import public_names
from tests.export.serving import predict

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(DOCS.rglob("*.md"))
    if "_build" not in path.parts
}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.S | re.M)


# Words of pages that use a package which only a developer has.
EXTRAS = {
    "TensorBoard": "tensorboard",
    "ai_edge_litert": "ai_edge_litert",
    "export_onnx": "onnxruntime",
    "mpe2": "mpe2",
    "open_spiel": "pyspiel",
    "tensorflow_serving": "tensorflow_serving",
}
WITH_PYTHON = [name for name in PAGES if blocks(PAGES[name], "python")]


@pytest.mark.parametrize("name", WITH_PYTHON)
def test_python_blocks_run_one_after_the_other(
    name: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "\n".join(blocks(PAGES[name], "python"))
    for word, package in EXTRAS.items():
        if word in source:
            pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    exec(compile(source, name, "exec"), {"__name__": name})


def test_there_are_pages_of_both_kinds() -> None:
    tutorials = [name for name, text in PAGES.items() if "{code-cell}" in text]
    assert len(PAGES) >= 20 and len(tutorials) >= 10
    assert len(WITH_PYTHON) >= 8 and not set(WITH_PYTHON) & set(tutorials)


def test_every_public_name_stands_once_in_the_reference() -> None:
    found = []
    for name, text in PAGES.items():
        module = ""
        for kind, value in re.findall(
            r"^\.\. ([\w:]+):: ([\w.]+)$", text, re.M
        ):
            if kind in ("py:module", "py:currentmodule"):
                module = value
                found += [value] if kind == "py:module" else []
            elif kind in ("autoclass", "autofunction", "py:data"):
                assert name.startswith("api/") and module
                found.append(f"{module}.{value}")
    expected = ["dice_tf", *(name for name, _ in public_names())]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_links_lead_somewhere(name: str) -> None:
    folder = (DOCS / name).parent
    text = re.sub(r"^```.*?^```$", "", PAGES[name], flags=re.S | re.M)
    for link in re.findall(r"\]\(((?!http|#)[^)\s]+)\)", text):
        assert (folder / link.partition("#")[0]).is_file(), link


@pytest.mark.parametrize("name", sorted(PAGES))
def test_commands_and_names_exist(name: str) -> None:
    if name == "changelog.md":
        pytest.skip("It names what was, too.")
    text = PAGES[name]
    programs = r"\b((?:experiments|benchmarks)\.[a-z]\w*)"
    for command in re.findall(programs, text):
        path = ROOT / command.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), command
    for dotted in re.findall(r"`(dice_tf(?:\.[A-Za-z_]\w*)+)\b(?!>)", text):
        value = dice_tf
        for part in dotted.split(".")[1:]:
            value = getattr(value, part)


def test_flags_exist() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("experiments", "benchmarks", "docs")
        for path in (ROOT / folder).rglob("*.py")
    )
    # Those of every command, of TensorBoard, TensorFlow Serving and XLA.
    known = {"help", "flagfile", "logdir", "enable_batching"}
    known |= {"xla_cpu_prefer_vector_width"}
    text = "".join(PAGES[name] for name in PAGES if name != "changelog.md")
    flags = set(re.findall(r"(?<![\w-])--([a-z]\w*)", text))
    missing = {flag for flag in flags - known if f'"{flag}"' not in sources}
    assert missing == set()


def test_every_example_is_described() -> None:
    text = PAGES["how_to/embed.md"]
    linked = re.findall(r"\[(\w+)\]\(../../examples/(\w+)\.py\)", text)
    assert all(name == target for name, target in linked)
    files = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert sorted(name for name, _ in linked) == sorted(files - {"__init__"})


def test_requests_to_a_server_are_answered(tmp_path: pathlib.Path) -> None:
    game = dice_tf.games.iterated_prisoners_dilemma()
    policy = dice_tf.policies.tit_for_tat(game, 0)
    dice_tf.export.export_policy(policy, tmp_path / "1")
    loaded = tf.saved_model.load(tmp_path / "1")
    page = PAGES["reference/signatures.md"]
    requests = re.findall(r"curl [^']* -d '(.*)'$", page, re.M)
    first, second = (json.loads(predict(loaded, body)) for body in requests)
    assert first == {"predictions": [[1.0, 0.0]]}
    assert second["outputs"]["action"] == [0]
