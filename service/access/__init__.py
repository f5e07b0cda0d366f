"""Who may ask, how much, and from where: API keys, the gate before every route, quotas, exposure."""
