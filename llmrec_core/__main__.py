"""`python -m llmrec_core VERB`."""

from llmrec_core.cli import main

if __name__ == "__main__":
    main()
