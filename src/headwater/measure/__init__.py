"""Measuring the kernel on one's own events and rules, or on the project's workload."""
