"""The relay: one process per host that takes records, clears them, keeps what was cleared, and ships it. Holds the only API key."""
