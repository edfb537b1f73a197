"""Long campaigns against the whole appliance; each has a short form among the tests."""
