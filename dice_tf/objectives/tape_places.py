"""Where the tapes are opened: inside or outside of vectorised loops.

`tf.vectorized_map` converts its function operation by operation, and forgets
every `tf.custom_gradient`. A tape inside of the function differentiates before
the conversion, with the custom gradients. A tape around the map finds other
derivatives, often 0, without an error. A tape cannot be asked where it was
opened. Code that knows it says so, by a `TapePlace`.
"""

from typing import NamedTuple

import tensorflow as tf

# `tf.vectorized_map` calls its function in a scope of this name. Further scopes
# in the same graph are numbered: "loop_body", "loop_body_1", and so on.
_LOOP_SCOPE = "loop_body"


class TapePlace(NamedTuple):
    """A place in a program such that all tapes are opened within it.

    Attributes:
      graph: the graph that operations are added to.
      num_loops: number of vectorised loops around the place, and around the
        functions that are traced there.
    """

    graph: tf.Graph
    num_loops: int

    def is_here(self) -> bool:
        """Whether no loop and no other graph has been entered since."""
        here = current_place()
        return here.graph is self.graph and here.num_loops == self.num_loops


def current_place() -> TapePlace:
    """Returns the place where operations are added now."""
    here = tf.compat.v1.get_default_graph()
    num_loops, graph = 0, here
    while graph is not None:
        scopes = graph.get_name_scope().split("/")
        num_loops += sum(scope.startswith(_LOOP_SCOPE) for scope in scopes)
        # Only the graph of a function knows in which graph it was traced.
        # TensorFlow has no public type for it.
        graph = getattr(graph, "outer_graph", None)
    return TapePlace(here, num_loops)
