"""What is public, called with bad arguments: a sample of the benchmark."""

from fnmatch import fnmatch

import pytest

from benchmarks import fuzzing, public_calls
from benchmarks.bad_values import BAD_VALUES
from tests import faulty_calls

NUM_CALLS = 300


def test_bad_arguments_are_named_or_taken():
    cases = fuzzing.sampled(fuzzing.all_cases(), NUM_CALLS, seed=0)
    outcomes = fuzzing.run(cases, time_limit=60.0)
    assert len(outcomes) == NUM_CALLS
    failed = [x for x in fuzzing.checks(outcomes) if not x.passed]
    assert not failed, fuzzing.table(outcomes)


def test_every_public_function_takes_its_valid_arguments(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calls = public_calls.public_calls()
    left_out = {
        name
        for name in public_calls.all_names()
        if any(fnmatch(name, pattern) for pattern in public_calls.NOT_CALLED)
    }
    assert len(calls) > 150 and not left_out & calls.keys()
    for call in calls.values():
        arguments = call.arguments()
        assert arguments.keys() <= set(call.parameters), call.name
        call.function()(**arguments)


def test_every_pattern_of_what_is_left_out_is_of_something():
    names = public_calls.all_names()
    for pattern in public_calls.NOT_CALLED:
        assert any(fnmatch(name, pattern) for name in names), pattern
    cases = fuzzing.all_cases()
    for pattern in fuzzing.EXCEPTIONS:
        assert any(fnmatch(case.text, pattern) for case in cases), pattern
    places = {case.place for case in cases}
    for call in fuzzing.NOT_MADE:
        place, _, value = call.partition("=")
        assert place in places and value in BAD_VALUES


@pytest.mark.parametrize(
    ("error", "is_named"),
    [
        (ValueError("`seed` must be two numbers."), True),
        (TypeError("`seed[0]` must be a number."), True),
        (ValueError("Use another. Received: seed=None."), True),
        (ValueError("The seed is wrong."), False),
        (ValueError("`seeds` must be two numbers."), False),
        (ValueError("Received: other_seed=3."), False),
        (AttributeError("`seed` has no attribute."), False),
    ],
)
def test_an_error_names_its_argument_in_quotes(error, is_named):
    assert fuzzing.names_argument(error, "seed") == is_named


def test_a_sample_is_the_same_for_the_same_seed():
    cases = fuzzing.all_cases("policies.*")
    first, second = (fuzzing.sampled(cases, 9, seed) for seed in (1, 1))
    assert first == second and len(set(first)) == 9
    assert first != fuzzing.sampled(cases, 9, 2)
    assert fuzzing.sampled(cases, 0, 1) == cases


def test_calls_that_hang_or_end_the_process_do_not_stop_the_others():
    values = ("works", "hangs", "works", "dies", "works")
    cases = [fuzzing.Case("f", "x", value) for value in values]
    caller = fuzzing.Caller(faulty_calls.prepare, faulty_calls.call)
    outcomes = fuzzing.run(cases, time_limit=2.0, caller=caller)
    works, hung, died = fuzzing.WORKS, fuzzing.HUNG, fuzzing.DIED
    assert [x.kind for x in outcomes] == [works, hung, works, died, works]
    assert [x.case for x in outcomes] == cases
    failed = {x.name for x in fuzzing.checks(outcomes) if not x.passed}
    assert {"calls that hung", "calls that ended the process"} <= failed


def test_a_table_says_where_calls_fail():
    case = fuzzing.Case("f", "x", "None")
    bad = fuzzing.Outcome(case, fuzzing.UNNAMED, "KeyError: 1", 0.1)
    text = fuzzing.table([bad] * 3)
    assert "3      another error" in text
    assert "3      x" in text and "3      f" in text
