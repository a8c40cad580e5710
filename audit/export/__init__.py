"""Exports: calls, turns and uses of tools as flat rows, for billing and for people who count; every row passes the gate."""
