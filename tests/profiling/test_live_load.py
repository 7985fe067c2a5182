"""The load of the machine right now: one reading for all who ask within a second."""

from llmrec_core.profiling import live_load


def test_two_pages_that_ask_at_once_read_the_same_share(monkeypatch):
    clock, shares = [100.0], iter([40.0, 0.0, 90.0])
    monkeypatch.setattr(live_load.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(live_load.psutil, "cpu_percent", lambda interval: next(shares))
    processor = live_load._Processor()
    assert processor.share() == 0.4
    clock[0] += 0.01
    assert processor.share() == 0.4, "a hundredth of a second says nothing"
    clock[0] += live_load.SHORTEST_S
    assert processor.share() == 0.0
    clock[0] += live_load.SHORTEST_S
    assert processor.share() == 0.9
