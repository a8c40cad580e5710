"""No-cloud stand-ins that speak the real protocols, for tests, audits and the demo."""
