"""Real calls against stand-ins, to be judged: the only part of the audit that knows how calls are made."""
