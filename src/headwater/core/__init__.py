"""Values that every room speaks of: types, events, records, datasets, errors, limits, clock and ids."""
