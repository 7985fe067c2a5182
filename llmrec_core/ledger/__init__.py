"""What was asked for and what was recorded: studies, runs, questions and workers."""
