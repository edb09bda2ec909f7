"""What a traced graph consists of."""


def operations_with_calls(graph):
    """Returns the kind of each operation of a graph and of what it calls."""
    definition = graph.as_graph_def()
    nodes = [*definition.node]
    for function in definition.library.function:
        nodes.extend(function.node_def)
    return [node.op for node in nodes]


# Names, and the numbers of gradients, which no program computes.
_NAMES = ("_gradient_op_type", "_user_specified_name", "shared_name")


def canonical(graph):
    """Returns all that a graph computes, whatever its parts are called.

    Two functions with equal results are the same program: the same operations
    in the same order, with the same constants, attributes and inputs.
    """
    definition = graph.as_graph_def()
    library = {
        function.signature.name: function
        for function in definition.library.function
    }
    return _canonical_nodes(definition.node, [], [], library, {})


def _canonical_function(name, library, known):
    if name not in known:
        function = library[name]
        known[name] = _canonical_nodes(
            function.node_def,
            [argument.name for argument in function.signature.input_arg],
            [function.ret[x.name] for x in function.signature.output_arg],
            library,
            known,
        )
    return known[name]


def _canonical_nodes(nodes, arguments, results, library, known):
    numbers = {name: str(i) for i, name in enumerate(arguments)}
    numbers |= {node.name: f"n{i}" for i, node in enumerate(nodes)}

    def renamed(tensor):
        mark = "^" if tensor.startswith("^") else ""
        name, *output = tensor.lstrip("^").split(":")
        return ":".join([mark + numbers[name], *output])

    described = []
    for node in nodes:
        attributes = []
        for name, value in sorted(node.attr.items()):
            if name in _NAMES:
                continue
            if value.HasField("func"):
                called = value.func.name
                value = _canonical_function(called, library, known)
            else:
                value = value.SerializeToString(deterministic=True)
            attributes.append((name, value))
        inputs = [renamed(tensor) for tensor in node.input]
        described.append((node.op, node.device, tuple(inputs), *attributes))
    return tuple(described), tuple(map(renamed, results))
