"""`python -m llmrec_core VERB`, the same as `llmrec VERB`."""

from llmrec_core.cli.main import main

if __name__ == "__main__":
    main()
