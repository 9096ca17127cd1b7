"""What tests need, ours and those of other people's sinks: conformance suites and fault injectors."""
