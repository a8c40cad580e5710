"""Calls as their traces tell of them: one row a call, its turns, its tools; closed names, ids, times and numbers, never content.

The dashboard, the alerts and the exports stand on this, whatever the source.
"""
