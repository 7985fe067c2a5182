"""`python -m llmrec_core VERB`."""

import signal
import sys

from llmrec_core.cli import main

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background jobs start with it ignored
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that what we started is stopped
    main()
