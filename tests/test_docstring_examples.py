"""The examples in docstrings run, and print what they show.

They use names that a reader knows from the README: modules, and the game,
policies, objective, learner and trainer of a small training. An example that
needs anything else makes it.
"""

import ast
import contextlib
import doctest
import functools
import io
import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf

FOLDER = pathlib.Path(dice_tf.__file__).parent

# Packages that only a developer has, and the words of examples that use them.
EXTRAS = {
    "ai_edge_litert": "ai_edge_litert",
    "matplotlib": "PolicyPictures",
    "mpe2": "mpe2",
    "onnxruntime": "export_onnx",
    "pettingzoo": "to_pettingzoo",
    "pyspiel": "open_spiel",
}

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


class Checker(doctest.OutputChecker):
    """Checks what is printed if the example shows any of it."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return not want or super().check_output(want, got, optionflags)


def find_examples(path: pathlib.Path) -> dict[str, list[doctest.Example]]:
    """Returns the examples of a file, by where they stand."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, _DOCUMENTED):
            text = ast.get_docstring(node) or ""
            examples = doctest.DocTestParser().get_examples(text)
            name = f"{path.stem}.{getattr(node, 'name', 'module')}"
            if examples:
                found[name] = examples
    return found


EXAMPLES = {
    name: examples
    for path in sorted(FOLDER.rglob("*.py"))
    for name, examples in find_examples(path).items()
}


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What examples take for granted."""
    game = dice_tf.games.iterated_prisoners_dilemma(episode_length=3)
    policies = [dice_tf.policies.tabular(game, i) for i in range(2)]
    objective = dice_tf.objectives.ExactObjective(game, policies)
    learner = dice_tf.learners.LOLADiCE(1, inner_learning_rate=1.0)
    trainer = dice_tf.Trainer(objective, [learner, learner], num_seeds=2)
    trainer.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    return dict(
        __name__="examples",
        dice_tf=dice_tf,
        functools=functools,
        keras=keras,
        np=np,
        tf=tf,
        tfd=tfp.distributions,
        tfp=tfp,
        game=game,
        learner=learner,
        objective=objective,
        params=objective.initial_params(),
        policies=policies,
        policy=policies[0],
        seed=tf.constant([0, 1]),
        trainer=trainer,
    )


def run(name: str, examples: list[doctest.Example], names: dict) -> str:
    """Runs examples and returns a report of those that fail."""
    runner = doctest.DocTestRunner(
        Checker(), verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    test = doctest.DocTest(examples, dict(names), name, None, None, None)
    report = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()):
        runner.run(test, out=report.write)
    return report.getvalue()


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_examples_run(
    name: str,
    names: dict[str, Any],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = "".join(example.source for example in EXAMPLES[name])
    for package, word in EXTRAS.items():
        if word in source:
            pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    assert run(name, EXAMPLES[name], names) == ""


def test_all_examples_are_found() -> None:
    written = sum(
        line.strip().startswith(">>>")
        for path in FOLDER.rglob("*.py")
        for line in path.read_text().splitlines()
    )
    assert sum(map(len, EXAMPLES.values())) == written > 100


@pytest.mark.parametrize(
    ("source", "is_right"),
    [
        (">>> 1 + 1\n2\n", True),
        (">>> 1 + 1\n", True),
        (">>> x\n3\n", True),
        (">>> 1 + 1\n3\n", False),
        (">>> y\n", False),
        (">>> def f(): return 1 / 0\n>>> f()\n", False),
    ],
)
def test_the_check_finds_examples_that_fail(
    source: str, is_right: bool
) -> None:
    examples = doctest.DocTestParser().get_examples(source)
    assert (run("example", examples, {"x": 3}) == "") == is_right
