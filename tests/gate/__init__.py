"""The production gate: every check that proves readiness, and one verdict for each requirement (`make gate`)."""
