"""Types for users: the package says that it has some, and programs run."""

import importlib.resources
import pathlib

import numpy as np
import pytest

from tests import user_code


def test_the_package_says_that_it_has_types() -> None:
    assert importlib.resources.files("dice_tf").joinpath("py.typed").is_file()


def test_a_program_trains_and_exports(tmp_path: pathlib.Path) -> None:
    curves = user_code.train_and_export(tmp_path)
    assert curves.shape == (2, 2, 2) and np.all(np.isfinite(curves))
    assert (tmp_path / "policy" / "saved_model.pb").is_file()


def test_learners_take_their_arguments() -> None:
    assert len(user_code.make_learners()) == 10


def test_a_game_and_a_learner_of_ones_own_play() -> None:
    sizes = user_code.learn_in_games_and_functions()
    # Of -(1 - 2)^2 twice, and of play.
    assert sizes[0] == pytest.approx(4.0)
    assert np.all(np.isfinite(sizes))


def test_strategies_are_evaluated() -> None:
    assert user_code.evaluate().ranking[0] in ("tit_for_tat", "some")
