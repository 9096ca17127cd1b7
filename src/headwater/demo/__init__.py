"""The demonstration: a small video and shop app, simulated users that report through a real SDK, and what came of it."""
