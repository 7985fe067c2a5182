"""Turns: how many pages are drawn at a time."""

import threading
import time

from pages.shared import crowd


def test_no_more_pages_than_turns_are_drawn_at_once():
    inside, most, lock = 0, 0, threading.Lock()

    def page():
        nonlocal inside, most
        with crowd.turn():
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.02)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=page) for _ in range(5 * crowd.AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert most == crowd.AT_ONCE
    assert inside == 0


def test_a_page_that_waits_for_another_process_holds_nobody_up():
    waits, go = threading.Barrier(crowd.AT_ONCE + 1), threading.Event()

    def importing():
        with crowd.turn(), crowd.elsewhere():
            waits.wait(10)
            go.wait(10)

    threads = [threading.Thread(target=importing) for _ in range(crowd.AT_ONCE)]
    for thread in threads:
        thread.start()
    waits.wait(10)
    with crowd.turn():  # while eight imports run
        assert not go.is_set()
    with crowd.elsewhere():  # without a turn there is none to give away
        go.set()
    for thread in threads:
        thread.join(timeout=10)
    assert crowd._turns._value == crowd.AT_ONCE
