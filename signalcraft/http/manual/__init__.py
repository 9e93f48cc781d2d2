"""The documentation, served by the program itself: docs/ as it is in the repository, as pages without a script."""
