"""The families of recommenders, and how a spec becomes one."""
