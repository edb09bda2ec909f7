"""From the command line to settings: what is filled in and what is refused."""

import json

import numpy as np
import pytest
from absl import flags

from experiments.settings import defaults, line_up
from tests.experiments.parsed_flags import parsed_flags, settings_of

PAYOFFS = [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]


def test_without_flags_both_players_use_lola_dice_with_one_lookahead() -> None:
    settings = settings_of()
    assert settings.learner == ("lola_dice", "lola_dice")
    assert settings.num_lookaheads == (1, 1)
    assert (settings.num_seeds, settings.num_iterations) == (5, 200)
    assert (settings.batch_size, settings.episode_length) == (64, 150)
    assert settings.discount == 0.96


@pytest.mark.parametrize("num_lookaheads", [0, 1, 2, 3])
def test_defaults_follow_the_number_of_lookaheads(num_lookaheads: int) -> None:
    settings = settings_of(f"--num_lookaheads={num_lookaheads}")
    expected = defaults.defaults_for(num_lookaheads)
    assert settings.inner_learning_rate[1] == expected.inner_learning_rate
    assert settings.learning_rate[1] == expected.learning_rate
    assert settings.optimizer[1] == expected.optimizer
    assert settings.baseline == expected.baseline


def test_beyond_the_table_the_imagined_distance_stays_the_same() -> None:
    three, six = defaults.defaults_for(3), defaults.defaults_for(6)
    assert 6 * six.inner_learning_rate == pytest.approx(
        3 * three.inner_learning_rate
    )


def test_networks_have_rates_of_their_own() -> None:
    settings = settings_of("--policy=tabular,mlp", "--num_lookaheads=2")
    table, network = (
        defaults.defaults_for(2, kind)
        for kind in (defaults.TABLE, defaults.NETWORK)
    )
    assert settings.learning_rate == (
        table.learning_rate,
        network.learning_rate,
    )
    assert settings.inner_learning_rate[1] == network.inner_learning_rate
    assert network.learning_rate < table.learning_rate
    assert settings.step_space == ("parameters", "outputs")


@pytest.mark.parametrize("policy", ["gru", "lstm", "min_gru"])
def test_policies_with_memory_have_the_settings_of_networks(
    policy: str,
) -> None:
    with_memory, without = (
        settings_of(f"--policy={name}", "--num_lookaheads=2")
        for name in (policy, "mlp")
    )
    assert with_memory.step_space == ("outputs", "outputs")
    kept = {"policy": without.policy, "hidden_units": without.hidden_units}
    assert with_memory._replace(**kept) == without


def test_a_proximal_learner_measures_outputs_itself() -> None:
    table, network = (
        settings_of("--learner=pola", f"--policy={policy}")
        for policy in ("tabular", "mlp")
    )
    assert network.step_space == ("parameters", "parameters")
    assert network.inner_learning_rate[0] < table.inner_learning_rate[0]


def test_a_list_is_in_seat_order_and_one_value_means_all() -> None:
    settings = settings_of(
        "--learner=naive,lola_dice", "--learning_rate=0.1,0.2", "--policy=mlp"
    )
    assert settings.learner == ("naive", "lola_dice")
    assert settings.learning_rate == (0.1, 0.2)
    assert settings.policy == ("mlp", "mlp")
    assert settings.hidden_units == ((64, 64), (64, 64))


def test_what_a_player_has_no_use_for_is_none() -> None:
    settings = settings_of("--learner=naive,tit_for_tat")
    assert settings.inner_learning_rate == (None, None)
    assert settings.num_lookaheads == (None, None)
    assert settings.learning_rate[1] is None
    assert settings.hidden_units == (None, None)


def test_a_rate_is_constant_unless_a_final_one_is_given() -> None:
    settings = settings_of("--learning_rate=0.4,0.2")
    if defaults.defaults_for(1).final_learning_rate is None:
        assert settings.final_learning_rate == (0.4, 0.2)
    settings = settings_of("--learning_rate=0.4", "--final_learning_rate=0.1")
    assert settings.final_learning_rate == (0.1, 0.1)
    settings = settings_of("--learning_rate=0.4", "--final_learning_rate=none")
    assert settings.final_learning_rate == (0.4, 0.4)


def test_none_lifts_a_bound() -> None:
    settings = settings_of("--max_gradient_norm=none,0.5")
    assert settings.max_gradient_norm == (None, 0.5)


def test_payoffs_come_as_json_and_from_files(tmp_path) -> None:
    as_json, as_npy = tmp_path / "a.json", tmp_path / "a.npy"
    as_json.write_text(json.dumps(PAYOFFS))
    np.save(as_npy, np.asarray(PAYOFFS))
    for text in (json.dumps(PAYOFFS), str(as_json), str(as_npy)):
        settings = settings_of(f"--payoffs={text}")
        assert settings.payoffs == PAYOFFS
        assert settings.game == "custom"


def test_payoffs_tell_the_number_of_players() -> None:
    payoffs = json.dumps(np.zeros([3, 2, 2, 2]).tolist())
    assert settings_of(f"--payoffs={payoffs}").num_players == 3


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--batch_size=0", "0 is not a positive integer"),
        ("--learning_rate=-0.1", "not a number in the range"),
        ("--learning_rate=nan", "nan is not a number in the range"),
        ("--learning_rate=0.1,inf", "inf is not a number in the range"),
        ("--learning_rate=fast", "could not convert string to float"),
        ("--learning_rate=0.1,", "could not convert string to float"),
        ("--discount=1.01", r"1.01 is not .* in the range \[0.0, 1.0\]"),
        ("--discount=nan", r"nan is not .* in the range \[0.0, 1.0\]"),
        ("--num_lookaheads=1.5", "invalid literal for int"),
        ("--seed=-1", "-1 is not a non-negative integer"),
        ("--game=go", "one of <prisoners_dilemma.matching_pennies"),
        ("--policy=tabular,rnn", "one of tabular, mlp, gru, lstm, min_gru"),
        ("--policy=not_there.keras", "path of a .keras file"),
        ("--baseline=mean", "one of <none.leave_one_out"),
        ("--optimizer=sdg", "one of <sgd.adam"),
        ("--hidden_units=64,x", "such as 64x64"),
        ("--hidden_units=0", "such as 64x64"),
        ("--hidden_units=65536x65536", "a layer of more than 2147483647 w"),
        ("--hidden_units=100000000000000000000", "a layer of more than"),
        ("--batch_size=100000000000", "100000000000 is more than 2147483647"),
        ("--batch_size=100000000000000000000", "is more than 2147483647"),
        ("--episode_length=4294967297", "is more than 2147483647"),
        ("--num_iterations=100000000000000000000", "is more than 2147483647"),
        ("--num_seeds=2000000000", "is more than 1048576"),
        ("--num_lookaheads=1000000000", r"in the range \[0, 1000\]"),
        ("--max_gradient_norm=0", "or none"),
    ],
)
def test_a_bad_value_is_refused_while_parsing(
    argument: str, message: str
) -> None:
    with pytest.raises(flags.IllegalFlagValueError, match=message):
        settings_of(argument)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--learner=lolo"], "learners .naive, .*lola_dice.*'lolo'"),
        (["--learner=naive,naive,naive"], "2 players. Received 3"),
        (["--learning_rate=1,2,3"], "--learning_rate .*2 players"),
        (["--learner=random"], "at least one player learn"),
        (["--batch_size=1", "--baseline=leave_one_out"], "--batch_size"),
        (["--momentum=0.9", "--optimizer=adam"], "--momentum is that of"),
        (["--payoffs=[[1,2],[3,4]]"], "Received shape .2, 2."),
        (["--payoffs=[[1,2],[3]]"], "one array of numbers"),
        (["--payoffs=[[["], "one array of numbers"),
        (["--payoffs=[[[1,2],[3,NaN]],[[1,2],[3,4]]]"], "finite"),
        (["--payoffs=[[]]"], "shape"),
        (["--payoffs=not_there.npy"], "No such file"),
        (["--payoffs=[[1,2]]", "--game=chicken"], "exclude each other"),
        (["--payoffs=" + "[" * 3000 + "]" * 3000], "one array of numbers"),
        (["--payoffs=" + "[" * 10**5], r"Received: '\[{200}\.\.\.'"),
        (["--payoffs=[[[1" + "0" * 400 + "]],[[1]]]"], "one array of numbers"),
        (["--payoffs=true"], "Received shape"),
        (
            ["--batch_size=2147483647", "--num_seeds=1"],
            "--num_seeds times --batch_size times --episode_length must be at "
            r"most 2147483647, .*Received: 1 \* 2147483647 \* 150",
        ),
    ],
)
def test_flags_that_do_not_fit_are_refused(
    arguments: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        settings_of(*arguments)


@pytest.mark.parametrize("content", [b"", b"\xff", b"\x93NUMPY\x01\x00", None])
@pytest.mark.parametrize("suffix", [".json", ".npy"])
def test_files_that_hold_no_payoffs_are_refused(
    tmp_path, content: bytes | None, suffix: str
) -> None:
    path = tmp_path / f"payoffs{suffix}"
    if content is None:
        # It claims to hold more than any memory does.
        header = "{'descr': '<f8', 'fortran_order': False, 'shape': (%d,), }"
        text = (header % 2**60).encode()
        length = len(text).to_bytes(2, "little")
        content = b"\x93NUMPY\x01\x00" + length + text
    path.write_bytes(content)
    with pytest.raises(ValueError, match="--payoffs must be one array of num"):
        settings_of(f"--payoffs={path}")


@pytest.mark.parametrize("value", ["0.1234567891", "0.1", "3", "1e-07"])
def test_numbers_are_shown_as_they_were_given(value: str) -> None:
    """What is shown after Ctrl-C is the command that continues."""
    with parsed_flags(f"--learning_rate={value}") as values:
        text = values["learning_rate"].serialize()
    assert text == f"--learning_rate={value}"


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("naive_batch_100000000000", 2147483647),
        ("lola_dice_1001_lookaheads", 1000),
        ("hola_1" + "0" * 5000, 1000),
    ],
)
def test_numbers_in_names_of_methods_are_bounded(name: str, most: int) -> None:
    with pytest.raises(ValueError, match=f"a method must be at most {most}"):
        line_up.parse_method(name)


@pytest.mark.parametrize(
    ("learners", "lookaheads", "batch_size", "expected"),
    [
        (("naive", "naive"), (None, None), 64, "naive"),
        (("lola_dice",) * 2, (1, 1), 64, "lola_dice_1_lookahead"),
        (("lola_dice",) * 3, (2, 2, 2), 64, "lola_dice_2_lookaheads"),
        (("lola_dice",) * 2, (0, 0), 64, "lola_dice_0_lookaheads"),
        (("naive",) * 2, (None, None), 128, "naive_batch_128"),
        (
            ("lola_dice", "naive"),
            (1, None),
            64,
            "lola_dice_1_lookahead_vs_naive",
        ),
        (
            ("lola_dice", "lola_dice"),
            (1, 3),
            32,
            "lola_dice_1_lookahead_vs_lola_dice_3_lookaheads_batch_32",
        ),
        (
            ("tit_for_tat", "runs/a/saved_model/player_1"),
            (None, None),
            64,
            "tit_for_tat_vs_saved_model",
        ),
    ],
)
def test_method_names(
    learners: tuple, lookaheads: tuple, batch_size: int, expected: str
) -> None:
    assert line_up.method_name(learners, lookaheads, batch_size) == expected
