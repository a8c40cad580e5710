"""What left, judged: traces are read back, scanned against a closed list, and come to GO, NO-GO or UNPROVEN."""
