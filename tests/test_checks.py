"""Checks of arguments."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from dice_tf import checks


@pytest.mark.parametrize("value", [3, np.int32(3), np.int64(3)])
def test_whole_numbers_of_any_kind_become_ints(value):
    checked = checks.check_whole_number("steps", value, 1)
    assert checked == 3 and type(checked) is int


@pytest.mark.parametrize("value", [3.0, True, "3", None, [3]])
def test_what_is_no_whole_number_is_a_type_error(value):
    with pytest.raises(TypeError, match=r"`steps` must be a whole number\. Re"):
        checks.check_whole_number("steps", value, 1)


def test_a_whole_number_below_its_minimum_is_refused():
    with pytest.raises(ValueError, match=r"`steps` must be at least 1.*=0"):
        checks.check_whole_number("steps", 0, 1)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5)])
def test_numbers_of_any_kind_become_floats(value):
    checked = checks.check_number("rate", value, 0.0, 1.0)
    assert checked == 0.5 and type(checked) is float


@pytest.mark.parametrize("value", [True, "0.5", None, [0.5]])
def test_what_is_no_number_is_a_type_error(value):
    with pytest.raises(TypeError, match=r"`rate` must be a number\. Received"):
        checks.check_number("rate", value)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf, -math.inf])
def test_a_number_outside_its_range_is_refused(value):
    with pytest.raises(
        ValueError, match=r"`rate` must be finite and in \[0, 1"
    ):
        checks.check_number("rate", value, 0.0, 1.0)


@pytest.mark.parametrize("value", [-1e-9, math.nan, math.inf])
def test_a_number_without_maximum_must_still_be_finite(value):
    with pytest.raises(ValueError, match=r"`rate` must be finite and at least"):
        checks.check_number("rate", value)


def test_one_number_is_meant_for_all_players():
    assert checks.check_number_per_player("rate", 2, 3) == (2.0, 2.0, 2.0)
    assert checks.check_number_per_player("rate", [1, None], 2) == (1.0, None)


def test_numbers_per_player_must_be_one_for_each():
    with pytest.raises(ValueError, match="`rate` must have one entry for each"):
        checks.check_number_per_player("rate", [1.0], 2)


def test_a_choice_is_one_of_the_choices():
    assert checks.check_choice("mode", "a", ("a", None)) == "a"
    with pytest.raises(ValueError, match="must be one of 'a', None.*mode='b'"):
        checks.check_choice("mode", "b", ("a", None))


def test_a_flag_is_true_or_false():
    assert checks.check_flag("eager", np.bool_(True)) is True
    for value in (1, 0, "False", None):
        with pytest.raises(TypeError, match="`eager` must be True or False. R"):
            checks.check_flag("eager", value)


def test_per_player_arguments_become_tuples():
    assert checks.check_per_player("policies", [1, 2], 2) == (1, 2)


def test_per_player_arguments_must_be_lists():
    with pytest.raises(TypeError, match="`policies` must be a list with one"):
        checks.check_per_player("policies", "ab", 2)


def test_per_player_arguments_must_be_as_many_as_players():
    with pytest.raises(ValueError, match="each of 3 players. Received 2"):
        checks.check_per_player("policies", [1, 2], 3)


def test_a_seat_must_exist():
    assert checks.check_player_id(1, 2) == 1
    with pytest.raises(
        ValueError, match=r"number of players, 2\. .*player_id=2"
    ):
        checks.check_player_id(2, 2)
    with pytest.raises(ValueError, match="`player_id` must be at least 0"):
        checks.check_player_id(-1, 2)


def test_a_rank_is_checked_where_it_is_known():
    checks.check_rank("rewards", tf.zeros([2, 3]), 2, "[T, B]")
    with pytest.raises(ValueError, match=r"shape \[T, B\] \(rank 2\).*\(3,\)"):
        checks.check_rank("rewards", tf.zeros([3]), 2, "[T, B]")


def test_shapes_are_compared_where_they_are_known():
    checks.check_same_shape("x", tf.zeros([2, 3]), "y", tf.ones([2, 3]))
    with pytest.raises(
        ValueError, match=r"shape of `y`, \(3, 2\)\. .*\(2, 3\)"
    ):
        checks.check_same_shape("x", tf.zeros([2, 3]), "y", tf.ones([3, 2]))


def test_unknown_shapes_pass():
    @tf.function(
        input_signature=[tf.TensorSpec(None), tf.TensorSpec([None, 3])]
    )
    def check(unknown, partly):
        checks.check_rank("unknown", unknown, 2, "[T, B]")
        checks.check_same_shape("unknown", unknown, "partly", partly)
        return partly

    assert check(tf.zeros([2, 3]), tf.zeros([2, 3])).shape == [2, 3]


def test_an_epoch_is_a_whole_number_of_calls():
    assert checks.check_steps_per_epoch(6, 3) == 6
    with pytest.raises(ValueError, match=r"multiple of steps_per_execution=4"):
        checks.check_steps_per_epoch(6, 4)
    with pytest.raises(ValueError, match="`steps_per_epoch` must be at least"):
        checks.check_steps_per_epoch(0, 1)


def test_an_index_is_below_the_size():
    assert checks.check_index("run", np.int64(2), 3, "runs") == 2
    for value in (-1, 3):
        with pytest.raises(ValueError, match="`run` must be"):
            checks.check_index("run", value, 3, "runs")


# Dtypes.


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_a_floating_dtype_may_be_spelled_in_any_usual_way(name):
    spellings = (name, tf.as_dtype(name), np.dtype(name), getattr(np, name))
    for value in spellings:
        found = checks.check_float_dtype("dtype", value)
        assert isinstance(found, tf.DType) and found == name


@pytest.mark.parametrize(
    "value",
    ["float16", tf.float16, np.float16, np.dtype("float16"), "bfloat16"]
    + [tf.bfloat16, "half", "int32", tf.int32, np.int64, "bool", "complex64"],
)
def test_other_dtypes_are_refused_by_name(value):
    message = r"`kind` must be 'float32' or 'float64'\. Received: kind='"
    message += tf.as_dtype(value).name
    with pytest.raises(ValueError, match=message):
        checks.check_float_dtype("kind", value)


@pytest.mark.parametrize("value", ["float", "single precision", "f4"])
def test_unknown_names_of_dtypes_are_refused(value):
    if value == "float":
        assert checks.check_float_dtype("dtype", value) == tf.float32
        return
    with pytest.raises(ValueError, match="TensorFlow does not know"):
        checks.check_float_dtype("dtype", value)


@pytest.mark.parametrize("value", [True, 1, np.int64(2), None, float, 1.0])
def test_numbers_are_not_dtypes(value):
    with pytest.raises(TypeError, match="must be 'float32' or 'float64'. Rec"):
        checks.check_float_dtype("dtype", value)


# Kinds of arguments.


def test_a_size_has_a_maximum():
    assert checks.check_whole_number("size", 2**31 - 1, 1) == 2**31 - 1
    for value in (2**31, 10**20):
        with pytest.raises(ValueError, match=r"`size` must be at most 2147483"):
            checks.check_whole_number("size", value, 1)
    assert checks.check_whole_number("seed", 10**20, 0, None) == 10**20
    with pytest.raises(ValueError, match=r"`num` must be at most 3\. .*num=4"):
        checks.check_whole_number("num", 4, 1, 3)


def test_sizes_are_a_list_of_whole_numbers():
    assert checks.check_sizes("filters", [2, np.int64(3)]) == (2, 3)
    assert checks.check_sizes("filters", ()) == ()
    assert checks.check_sizes("filters", np.array([4])) == (4,)
    for value in ("", {}, {2}, b"", None, 3):
        with pytest.raises(TypeError, match="`filters` must be a list of whol"):
            checks.check_sizes("filters", value)
    with pytest.raises(ValueError, match="`filters` must be at most 8"):
        checks.check_sizes("filters", [9], 8)


@pytest.mark.parametrize(
    "value", [np.array(["a", "b"]), [1], {}, True, 1.5, None, object]
)
def test_a_choice_is_a_text_or_a_number(value):
    with pytest.raises(ValueError, match="`kind` must be one of 1, 2, 'a'. Re"):
        checks.check_choice("kind", value, (1, 2, "a"))


def test_choices_of_flags_are_not_numbers():
    assert checks.check_choice("kind", np.int64(2), (1, 2)) == 2
    assert checks.check_choice("compile", True, (True, False, "auto")) is True
    with pytest.raises(ValueError, match="`compile` must be one of True"):
        checks.check_choice("compile", 1, (True, False, "auto"))


def test_an_object_of_another_type_is_named():
    assert checks.check_kind("x", 3, int, "a number") == 3
    message = r"`x` must be a number\. Received: x='3' \(of type str\)"
    with pytest.raises(TypeError, match=message):
        checks.check_kind("x", "3", int, "a number")
    with pytest.raises(TypeError, match=r"`policy` must be a keras\.Model"):
        checks.check_model("policy", keras.layers.Dense(2))


def test_a_function_takes_what_it_is_called_with():
    def of_two(a, b, c=1):
        pass

    # Python does not know what `dict` takes.
    for function in (of_two, print, dict, tf.function(of_two)):
        assert checks.check_function("f", function, "a rule", 2) is function
    with pytest.raises(TypeError, match=r"`f` must be a rule\. Received: f=3"):
        checks.check_function("f", 3, "a rule", 2)
    for function, number, reason in (
        (of_two, 1, r"takes \(a, b, c=1\): missing a required argument: 'b'"),
        (of_two, 4, r"called with 4 arguments .*: too many positional"),
        (lambda *, key: None, 0, "missing a required .*argument: 'key'"),
    ):
        with pytest.raises(TypeError, match=f"`f` must be a rule.*{reason}"):
            checks.check_function("f", function, "a rule", number)


def test_a_name_is_a_text():
    assert checks.check_name("name", None) is None
    assert checks.check_name("name", "mine") == "mine"
    for value in (np.array(["a", "b"]), 3, b"mine", ["mine"]):
        with pytest.raises(TypeError, match="`name` must be a string or None"):
            checks.check_name("name", value)


@pytest.mark.parametrize(
    "value", ["tanh", None, keras.activations.relu, keras.layers.LeakyReLU()]
)
def test_an_activation_is_one_of_keras_or_a_function(value):
    assert checks.check_activation("activation", value) is value


@pytest.mark.parametrize("value", ["x", "", 3, dict, lambda: None, [], b"tanh"])
def test_other_activations_are_refused(value):
    message = "`activation` must be a Keras activation. Received: activation="
    with pytest.raises(ValueError, match=message):
        checks.check_activation("activation", value)


@pytest.mark.parametrize("value", [None, object(), [[1.0], [1.0, 2.0]], dict])
def test_what_is_not_a_tensor_is_named(value):
    with pytest.raises(ValueError, match="`rewards` must be a tensor of dtype"):
        checks.as_tensor("rewards", value, tf.float32)
    with pytest.raises(
        ValueError, match="`rewards` must be a tensor. Received"
    ):
        checks.as_tensor("rewards", value)


def test_a_floating_tensor_stays_the_same_object():
    x = tf.ones([2])
    assert checks.as_floats("x", x) is x
    assert checks.as_tensors("xs", [x])[0] is x
    for value in (3, True, "x", tf.range(2)):
        with pytest.raises(TypeError, match="`x` must be a tensor of floating"):
            checks.as_floats("x", value)


def test_a_list_of_tensors_is_a_list():
    for value in (None, tf.ones([2]), "x", {}):
        with pytest.raises(TypeError, match="`xs` must be a list of tensors"):
            checks.as_tensors("xs", value)
    with pytest.raises(ValueError, match=r"`xs\[1\]` must be a tensor"):
        checks.as_tensors("xs", [1.0, None])


def test_an_array_holds_numbers():
    assert checks.as_float_array("xs", [1, 2]).dtype == np.float64
    for value in (["a"], object(), [[1.0], [1.0, 2.0]], {}):
        with pytest.raises(
            ValueError, match="`xs` must be an array of numbers"
        ):
            checks.as_float_array("xs", value)
    with pytest.raises(TypeError, match="`xs` must be an array of numbers"):
        checks.as_float_array("xs", None)


def test_there_is_one_list_per_player():
    assert checks.check_lists("params", [[], ()], 2) == ([], ())
    with pytest.raises(TypeError, match=r"`params\[1\]` must be a list\. Rec"):
        checks.check_lists("params", [[], None], 2)
