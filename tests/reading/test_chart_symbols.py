"""One shape a model size, whatever the order of the rows."""

from llmrec_core.reading import chart_symbols
from tests.reading.rows import make


def test_shapes_and_colours_do_not_depend_on_the_order():
    specs = [
        make("a", "cross-encoder", "minilm-l6", depth=depth).spec.recommender for depth in (6, 2, 4)
    ]
    assert chart_symbols.shapes(specs) == chart_symbols.shapes(specs[::-1])
    assert len(set(chart_symbols.shapes(specs).values())) == 3
