"""What is registered: the project on disk, the tracking plan, and the numbered snapshots that everything runs."""
