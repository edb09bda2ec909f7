"""The names of methods: read as they are written."""

import pytest

from experiments.settings import line_up
from experiments.settings.line_up import LineUp


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("naive", LineUp(("naive",), (None,))),
        ("lola_full_gradient", LineUp(("lola_full_gradient",), (None,))),
        ("lola_dice_1_lookahead", LineUp(("lola_dice",), (1,))),
        ("lola_dice_12_lookaheads", LineUp(("lola_dice",), (12,))),
        (
            "lola_dice_2_lookaheads_opponent_model",
            LineUp(("lola_dice_opponent_model",), (2,)),
        ),
        (
            "lola_dice_10_lookaheads_mixed_0.6",
            LineUp(("lola_dice",), (10,), (0.6,)),
        ),
        (
            "lola_dice_1_lookahead_mixed_0.25_vs_advantage_alignment",
            LineUp(
                ("lola_dice", "advantage_alignment"), (1, None), (0.25, 1.0)
            ),
        ),
        (
            "actor_critic_vs_loqa",
            LineUp(("actor_critic", "loqa"), (None, None)),
        ),
        ("hola_3", LineUp(("hola",), (3,))),
        ("pola_vs_naive", LineUp(("pola", "naive"), (None, None))),
        (
            "sos_vs_lola_dice_2_lookaheads_vs_tit_for_tat",
            LineUp(("sos", "lola_dice", "tit_for_tat"), (None, 2, None)),
        ),
    ],
)
@pytest.mark.parametrize("batch_size", [None, 64, 4000])
def test_a_name_is_read_as_it_is_written(
    name: str, expected: LineUp, batch_size: int | None
) -> None:
    text = name if batch_size is None else f"{name}_batch_{batch_size}"
    assert line_up.parse_method(text) == (expected, batch_size)
    learners, numbers, weights = expected
    weights = () if weights == (1.0,) else weights
    written = line_up.method_name(learners, numbers, batch_size, weights)
    assert written == (text if batch_size != 64 else name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "lolo",
        "lola_dice",
        "hola",
        "hola_",
        "lola_dice_x_lookaheads",
        "lola_dice_2_lookaheads_mixed_",
        "lola_dice_2_lookaheads_mixed_1.5",
        "naive_mixed_0.5",
        "naive_batch_0",
        "naive_vs_",
        "_batch_64",
        "naive naive",
    ],
)
def test_what_is_no_method_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="A method must"):
        line_up.parse_method(name)
