"""The pattern rules, by what they find."""
