"""What keeps one box trustworthy for years: its runs on record, its alarms about itself, and each sort of care."""
