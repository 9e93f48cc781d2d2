"""Backups as the appliance makes them: when, with what, on record, and told when one does not work."""
