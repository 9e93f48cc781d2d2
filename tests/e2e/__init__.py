"""Journeys through the dashboard: Debian's Chromium against the real program in a process of its own."""
