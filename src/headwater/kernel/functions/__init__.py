"""The meanings of functions in plain Python, one file a noun. The kernel has the same in Rust."""
