"""What the dashboard says: pure functions from the index's rows and the audit's files to frozen values, which a page only lays out.

No text of a trace is in them: only names, counts, times and words of our own.
"""
