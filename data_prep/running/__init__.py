"""How work is spread, kept and resumed."""
