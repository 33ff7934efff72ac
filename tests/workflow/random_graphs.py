"""Random graphs of toy steps, and what they must give."""

from hypothesis import strategies as st
from workflow_toys import Toy

from integral_oda.workflow.graph import Node


@st.composite
def graphs(draw):
    """A random graph: for each node its inputs among the earlier ones, whether it gathers, and whether it fails."""
    size = draw(st.integers(1, 12))
    return [
        (
            sorted(draw(st.sets(st.integers(0, number - 1), max_size=4))) if number else [],
            draw(st.booleans()),
            draw(st.integers(0, 5)) == 0,
        )
        for number in range(size)
    ]


def build(shape, scopes=None):
    """The nodes of a graph, of one window each or of the given ones."""
    nodes = []
    for number, (inputs, tolerant, fails) in enumerate(shape):
        scope = scopes[number] if scopes else f"w{number}"
        step = Toy(f"S{number}", tolerant=tolerant, fails="unavailable" if fails else "")
        nodes.append(Node(step, scope, {"number": number}, tuple(nodes[item] for item in inputs)))
    return nodes


def expected_values(shape):
    """The results by definition: recursively, without store, plan or order."""
    values = []
    for number, (inputs, tolerant, fails) in enumerate(shape):
        left = [item for item in inputs if values[item] is not None]
        if fails or (len(left) < len(inputs) and not tolerant) or (inputs and not left):
            values.append(None)
            continue
        given = [[f"w{item}", values[item]] for item in left] if tolerant else [values[item] for item in left]
        values.append({"step": f"S{number}", "parameters": {"number": number}, "inputs": given, "raw": {}})
    return values
