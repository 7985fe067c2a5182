"""One module a step; `schema.REVISIONS` lists them in order."""
