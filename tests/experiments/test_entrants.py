"""Who enters a tournament: names, SavedModels, run folders."""

import os
import pathlib

import pytest

from experiments.matches.entrants import Entrant, find_entrants


def _saved_model(path: pathlib.Path) -> str:
    path.mkdir(parents=True)
    (path / "saved_model.pb").touch()
    return str(path)


def _run(folder: pathlib.Path, num_players: int = 2) -> tuple[str, ...]:
    return tuple(
        _saved_model(folder / f"player_{player_id}")
        for player_id in range(num_players)
    )


def find(*texts) -> tuple[Entrant, ...]:
    return find_entrants([str(text) for text in texts])


def test_fixed_policies_take_both_seats() -> None:
    assert find("tit_for_tat", " nice=always_cooperate") == (
        Entrant("tit_for_tat", ("tit_for_tat",) * 2),
        Entrant("nice", ("always_cooperate",) * 2),
    )


def test_a_name_that_no_file_can_hold_is_refused_before_the_matches(
    tmp_path,
) -> None:
    path = _saved_model(tmp_path / "\udcff")
    with pytest.raises(ValueError, match=r"names in UTF-8.*'\\udcff'"):
        find(path)
    assert find(f"mine={path}") == (Entrant("mine", (path, path)),)


def test_a_saved_model_takes_both_seats(tmp_path) -> None:
    alone = _saved_model(tmp_path / "mine")
    of_a_run, _ = _run(tmp_path / "ipd" / "saved_model")
    assert find(alone, of_a_run, f"best={alone}") == (
        Entrant("mine", (alone, alone)),
        Entrant("ipd/player_0", (of_a_run, of_a_run)),
        Entrant("best", (alone, alone)),
    )


def test_a_run_brings_a_policy_for_each_seat(tmp_path, monkeypatch) -> None:
    sources = _run(tmp_path / "ipd" / "saved_model")
    assert find(tmp_path / "ipd") == (Entrant("ipd", sources),)
    assert find(f"lola={tmp_path}/ipd/") == (Entrant("lola", sources),)
    monkeypatch.chdir(tmp_path / "ipd")
    (found,) = find(".")
    assert found.name == "ipd"
    assert [os.path.abspath(path) for path in found.sources] == [*sources]


def test_a_run_of_several_methods_brings_them_all(tmp_path) -> None:
    saved = tmp_path / "menu" / "saved_model"
    both = {name: _run(saved / name) for name in ("naive", "lola")}
    assert find(f"a={tmp_path}/menu") == (
        Entrant("a/lola", both["lola"]),
        Entrant("a/naive", both["naive"]),
    )


def test_a_path_may_hold_an_equals_sign(tmp_path) -> None:
    path = _saved_model(tmp_path / "rate=1")
    assert find(path) == (Entrant("rate=1", (path, path)),)


@pytest.mark.parametrize("text", ["nobody", "", "a=", "a=nobody", "{folder}"])
def test_who_is_not_there_is_refused(tmp_path, text: str) -> None:
    text = text.format(folder=tmp_path)
    with pytest.raises(ValueError, match="--entrants must be always_cooperate"):
        find(text)


def test_a_run_of_three_players_is_refused(tmp_path) -> None:
    _run(tmp_path / "three" / "saved_model", 3)
    with pytest.raises(ValueError, match=r"2 players.*players \[0, 1, 2\]"):
        find(tmp_path / "three")


def test_names_are_told_apart() -> None:
    with pytest.raises(ValueError, match="Received 'random' 2 times: put na"):
        find("random", "tit_for_tat", "random=always_defect")
