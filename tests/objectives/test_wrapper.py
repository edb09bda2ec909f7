"""Objectives that wrap another one, and learners that are given such."""

import functools
import inspect

import numpy as np
import pytest
import tensorflow as tf

from dice_tf.diagnostics.shaping import OpponentsHeldStill
from dice_tf.learners.output_space import OutputObjective
from dice_tf.learners.proximal import ProximalObjective
from dice_tf.objectives import FiniteTasks, FunctionObjective, Objective
from dice_tf.objectives.wrapper import ObjectiveWrapper
from tests.learners.settings import vector
from tests.test_opponents_held_still import (
    LEARNERS,
    PAIRS,
    objective_of,
)
from tests.toys import tabular_policies


class Unchanged(ObjectiveWrapper):
    """A wrapper that changes nothing."""

    def _values(self, params, seed, state):
        return self.objective(params, seed, state)


def proximal(objective):
    return ProximalObjective(objective, objective.initial_params(), [0.3, 0.6])


def held_still(objective):
    return OpponentsHeldStill(objective, 1)


def both(objective):
    return held_still(proximal(objective))


# --- Every learner ----------------------------------------------------------


def test_every_wrapper_of_the_library_is_here():
    objective = objective_of("exact")
    of_the_library = {
        kind
        for kind in ObjectiveWrapper.__subclasses__()
        if kind.__module__.startswith("dice_tf.")
    }
    here = {
        type(proximal(objective)),
        type(held_still(objective)),
        # It changes the coordinates: tests/learners/test_output_space.py.
        OutputObjective,
    }
    assert here == of_the_library


@pytest.mark.parametrize("name, kind", PAIRS)
def test_a_learner_moves_alike_whatever_is_wrapped(name, kind):
    """Around a wrapper that changes nothing, and around the bare objective."""
    # A bound objective plays once for all.
    bare = objective_of(kind).bind()
    move = functools.partial(
        LEARNERS[name][0].gradient,
        params=bare.initial_params(),
        player_id=1,
        seed=tf.constant([1, 2]),
    )
    wraps = [proximal, held_still, lambda objective: objective]
    if kind == "recurrent":
        wraps = [both]
    for wrap in wraps:
        expected, found = (
            vector(move(wrap(objective)))
            for objective in (bare, Unchanged(bare))
        )
        np.testing.assert_array_equal(found, expected)
        assert np.all(np.isfinite(found)) and np.any(found)


# --- What a wrapper forwards ------------------------------------------------


ANSWER = FunctionObjective([lambda params: tf.constant(1.0)])
DECLARED = {
    name: vars(Objective).get(name)
    for name in (*Objective.__annotations__, *vars(Objective))
    if not name.startswith("_")
}
METHODS = {
    name: member
    for name, member in DECLARED.items()
    if inspect.isfunction(member)
}


def recording(calls):
    """An objective that notes its calls, with an object as each attribute."""

    members = {name: object() for name in DECLARED} | {"num_players": 2}
    for name in METHODS:

        def answer(self, *args, name=name, **kwargs):
            bound = inspect.signature(METHODS[name]).bind(self, *args, **kwargs)
            calls.append((name, dict(bound.arguments)))
            return ANSWER

        members[name] = answer
    members["_values"] = lambda self, params, seed, state: ()
    return type("Recording", (Objective,), members)()


@pytest.mark.parametrize("name", DECLARED)
def test_a_wrapper_forwards_what_an_objective_declares(name):
    """It fails for whatever `Objective` declares and the wrapper does not."""
    own_members = vars(ObjectiveWrapper)
    assert name in own_members or f"_{name}" in own_members
    calls = []
    wrapped = recording(calls)
    wrapper = Unchanged(wrapped)
    if name not in METHODS:
        assert getattr(wrapper, name) is getattr(wrapped, name)
        return
    _, *parameters = inspect.signature(METHODS[name]).parameters
    arguments = {
        parameter: [[], []] if parameter.endswith("params") else object()
        for parameter in parameters
    }
    result = getattr(wrapper, name)(**arguments)
    ((called, received),) = calls
    assert called == name
    # `average` hands each task on within the wrapper.
    for parameter in set(parameters) - {"function"}:
        assert received[parameter] is arguments[parameter]
    if METHODS[name].__annotations__["return"] is None:
        return
    # What is made of a wrapper is wrapped.
    made = name in ("bind", "with_policies")
    assert type(result) is (Unchanged if made else FunctionObjective)
    assert (result.objective if made else result) is ANSWER


def test_what_is_made_of_a_wrapper_is_wrapped():
    """A bound one uses the state that it is bound to."""
    objective = objective_of("sampled")
    wrapper = Unchanged(objective)
    policies = tabular_policies(objective.game)
    believed = wrapper.with_policies(policies)
    assert type(believed) is Unchanged
    assert believed.policies == tuple(policies)
    bound = wrapper.bind(("a state",))
    assert type(bound) is Unchanged
    assert bound.objective._bound_state == ("a state",)
    family = Unchanged(FiniteTasks([objective_of("exact")] * 2))
    kinds = []

    def function(task, seed):
        kinds.append(type(task))
        return task(family.initial_params(), seed)

    family.average(function)
    assert kinds == [Unchanged, Unchanged]


def test_a_wrapper_of_a_bound_objective_uses_its_state():
    """`None` is resolved by the wrapped objective."""
    objective = objective_of("sampled")
    wrapped = Unchanged(objective.bind(("a state",)))
    assert wrapped._resolve(None) is None
    assert wrapped.objective._resolve(None) == ("a state",)


def test_what_is_not_an_objective_cannot_be_wrapped():
    with pytest.raises(TypeError, match="`objective` must be a dice_tf.object"):
        Unchanged("dice")
