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
