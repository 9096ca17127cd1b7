"""The first hop: rules over events, from the log (`worker`) or from files (`batch`)."""
