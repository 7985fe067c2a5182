"""Who does the work: studies, grids, the worker with its runs and its answers, the services."""
