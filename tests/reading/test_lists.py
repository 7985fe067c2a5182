"""People worth looking at, side by side."""

from llmrec_core.reading import lists


def test_offered_people_disagree_are_cold_and_are_missed():
    def body(items, withheld="w"):
        return [{"item_id": i, "title": i, "score": 1.0, "withheld": i == withheld} for i in items]

    known = {
        run: {"users": {
            "1": {"history": ["w"], "withheld": "w", "items": body(first)},
            "2": {"history": ["x"], "withheld": "rare", "items": body("abc", "a")},
            "3": {"history": ["y"], "withheld": "w", "items": body("abc")},
        }}
        for run, first in (("A", "wab"), ("B", "wcd"))
    }  # fmt: skip
    assert [(offer.kind, offer.user) for offer in lists.offers(known)] == [
        ("disagree", "1"),
        ("cold", "2"),
        ("miss", "3"),
    ]
