"""Optional libraries: which extra installs each, and what is said without."""

import pathlib
import re
import runpy
import subprocess
import sys

import numpy as np
import pytest

import dice_tf
from dice_tf import bridges, export
from dice_tf.callbacks import PolicyPictures
from dice_tf.evaluation import policy_figure

ROOT = pathlib.Path(__file__).resolve().parents[1]
GAME = dice_tf.games.iterated_prisoners_dilemma(3)
# By extra, the library that it installs.
LIBRARIES = {
    "axelrod": "axelrod",
    "experiments": "matplotlib",
    "mlflow": "mlflow",
    "onnx": "tf2onnx",
    "openspiel": "pyspiel",
    "pettingzoo": "pettingzoo",
    "sweep": "optuna",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
}


def _block(monkeypatch, library):
    """Makes a library one that is not installed."""
    for name in [*sys.modules]:
        if name.partition(".")[0] == library:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)


def _policy():
    return dice_tf.policies.tit_for_tat(GAME, 0)


@pytest.mark.parametrize(
    ("extra", "call"),
    [
        ("experiments", lambda: policy_figure([np.full([1, 5, 2], 0.5)])),
        ("experiments", lambda: PolicyPictures("pictures")),
        ("onnx", lambda: export.export_onnx(_policy(), "policy.onnx")),
        ("openspiel", lambda: bridges.from_open_spiel("matrix_pd")),
        ("pettingzoo", lambda: bridges.from_pettingzoo(lambda: None, 3)),
        ("pettingzoo", lambda: bridges.to_pettingzoo(GAME)),
        ("tensorboard", lambda: PolicyPictures(log_dir="logs")),
    ],
)
def test_without_its_library_a_function_names_the_extra(
    extra, call, monkeypatch
):
    _block(monkeypatch, LIBRARIES[extra])
    with pytest.raises(ImportError) as info:
        call()
    hint = f'pip install "dice_tf[{extra}]".'
    assert str(info.value).endswith(hint)


@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("axelrod", "axelrod_tournament"),
        ("experiments", "axelrod_tournament"),
        ("experiments", "coin_game"),
        ("experiments", "coin_league"),
        ("experiments", "common_pool"),
        ("experiments", "compare_learners"),
        ("experiments", "ipd"),
        ("experiments", "lola_dice_figure"),
        ("experiments", "make_zoo"),
        ("experiments", "maml"),
        ("experiments", "negotiation"),
        ("experiments", "phase_portrait"),
        ("experiments", "tournament"),
        ("experiments", "verify_estimators"),
    ],
)
def test_without_its_library_a_command_names_the_extra(extra, command):
    done = _without(
        [LIBRARIES[extra]],
        f"from experiments.{command} import COMMAND\nCOMMAND.start()",
        "--output_dir=never_made",
    )
    assert done.returncode == 1
    assert f'pip install "dice_tf[{extra}]".' in done.stderr
    assert done.stderr.startswith("Error: ") and "Traceback" not in done.stderr


def test_the_package_needs_no_optional_library():
    done = _without(
        [*LIBRARIES.values(), "gymnasium", "onnx", "pandas"],
        "import importlib, pkgutil, sys\n"
        "import dice_tf, experiments.play, experiments.pola\n"
        "for module in pkgutil.walk_packages(dice_tf.__path__, 'dice_tf.'):\n"
        "    if not module.name.startswith('dice_tf.bridges.zoo_'):\n"
        "        importlib.import_module(module.name)\n",
    )
    assert done.returncode == 0, done.stderr


def _without(libraries, code, *arguments):
    """Runs code in a process that has none of these libraries."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({libraries}))\n"
    return subprocess.run(
        [sys.executable, "-c", blocked + code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def extras():
    """What setup.py declares, by extra."""
    setuptools = pytest.importorskip("setuptools")
    declared = {}
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(
            setuptools, "setup", lambda **given: declared.update(given)
        )
        runpy.run_path(str(ROOT / "setup.py"))
    return declared["extras_require"]


def test_every_extra_is_explained(extras):
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| .* \| .*\|$", text, re.M)
    assert set(extras) <= set(rows)
    assert set(extras) == {*LIBRARIES, "all", "benchmarks", "docs", "test"}
    assert set(extras["all"]) == {
        requirement for name in LIBRARIES for requirement in extras[name]
    }
    assert set(extras["all"]) <= set(extras["test"])


# What a message says; and what a page says of a clone, and of its wheel.
HINT = re.compile(
    r'pip install (?:-q -e )?"(?:dice_tf|\.|\$\(ls dist/\*\.whl\))'
    r'\[(\w+|{extra})\]"'
)


def test_hints_name_extras_in_one_form(extras):
    folders = ("dice_tf", "experiments", "benchmarks", "docs")
    hints = 0
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in (".py", ".md"):
                continue
            text = path.read_text(encoding="utf-8")
            for found in re.findall(r"pip install [^\n]*?\[[^\n]*", text):
                if "tensorflow[" in found:
                    continue  # An extra of another library.
                hint = HINT.match(found)
                assert hint, f"{path}: {found}"
                assert hint[1] in {*extras, "{extra}"}
                hints += 1
    assert hints >= 5
