"""What was published, and when it may be compared with."""

import numpy as np
import pytest

from experiments.comparisons import references
from experiments.comparisons.references import Reference
from experiments.settings.training_settings import (
    TrainingSettings,
    resolve_method,
)
from tests.experiments.parsed_flags import parsed_flags


def _settings(
    method: str, *arguments: str, is_exact: bool = True
) -> TrainingSettings:
    with parsed_flags(*arguments) as values:
        return resolve_method(values, method, is_exact=is_exact)


def _applies(method: str, *arguments: str, is_exact: bool = True) -> bool:
    settings = _settings(method, *arguments, is_exact=is_exact)
    return method in references.references_for({method: settings})


@pytest.mark.parametrize("method", references.PRISONERS_DILEMMA)
def test_exact_defaults_are_those_of_the_literature(method: str) -> None:
    assert _applies(method)
    assert _applies(method, "--num_seeds=3", "--seed=7", "--nojit_compile")


@pytest.mark.parametrize("method", references.TANDEM)
def test_so_are_those_of_the_tandem_game(method: str) -> None:
    assert _applies(method, "--game=tandem")
    assert not _applies(method, "--game=tandem", "--learning_rate=0.2")


@pytest.mark.parametrize(
    "argument",
    [
        "--discount=0.9",
        "--episode_length=150",
        "--num_iterations=99",
        "--inner_learning_rate=1,2",
        "--learning_rate=0.9",
        "--final_learning_rate=0.5",
        "--initial_logits=uniform",
        "--policy=mlp",
        "--game=stag_hunt",
        "--momentum=0.1",
        "--optimizer=adam",
        "--max_gradient_norm=1",
        "--entropy_coefficient=0.1",
        "--payoffs=[[[-1,-3],[0,-2]],[[-1,0],[-3,-1]]]",
    ],
)
def test_other_settings_have_no_reference(argument: str) -> None:
    assert not _applies("lola", argument)


def test_sampled_play_has_no_reference() -> None:
    assert not _applies("lola", is_exact=False)
    assert not _applies("hola_2")


def _curves(finals: np.ndarray) -> np.ndarray:
    """Returns constant curves of two players, `finals` and 1 more."""
    both = np.stack([finals, finals + 1.0], axis=-1)
    return np.broadcast_to(both, [12, *both.shape])


def test_a_difference_of_three_standard_errors_agrees() -> None:
    finals = np.random.default_rng(0).normal(-1.5, 0.4, 100)
    reference = Reference(0.0, 0.3, 25)
    error = np.sqrt(finals.var(ddof=1) / 100 + 0.3**2 / 25)
    for offset, agrees in ((2.99, True), (3.01, False), (-3.01, False)):
        mean = finals.mean() + 0.5 + offset * error
        found = references.agreement(
            _curves(finals), reference._replace(mean=mean)
        )
        assert found.agrees == agrees
        assert found.measured == pytest.approx(finals.mean() + 0.5)
        assert found.tolerance == pytest.approx(3 * error)


def test_a_tolerance_is_the_least_that_agrees() -> None:
    curves = _curves(np.full(10, -1.5))
    known = Reference(-1.004, 0.0, 10)
    assert references.agreement(curves, known).agrees
    assert not references.agreement(curves, known._replace(mean=-1.01)).agrees


def test_what_was_read_off_a_figure_has_its_own_tolerance() -> None:
    finals = np.random.default_rng(1).normal(-1.5, 5.0, 4)
    reference = Reference(finals.mean() + 0.56, None, None, 0.05)
    found = references.agreement(_curves(finals), reference)
    assert not found.agrees and found.tolerance == 0.05


def test_a_reference_may_be_of_one_player() -> None:
    curves = _curves(np.full(10, -1.5))
    found = references.agreement(curves, Reference(-1.5, None, 10, player=0))
    assert found.agrees and found.measured == -1.5


def test_the_table_says_what_differs() -> None:
    known = {"a": Reference(-1.0, 0.1, 10), "b": Reference(0.0, None, 10)}
    curves = {"a": _curves(np.full(10, -1.5)), "c": _curves(np.ones(3))}
    curves["b"] = curves["a"]
    agreed = {
        name: references.agreement(curves[name], known[name]) for name in known
    }
    columns = references.as_columns(list(curves), known, agreed)
    assert columns[0] == ["reference", "-1.000 +- 0.100", "", "0.000"]
    assert columns[1][1:3] == ["+0.000, agrees within 0.095", ""]
    assert "DIFFERS within 0.005" in columns[1][3]
