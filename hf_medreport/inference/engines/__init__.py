"""Items given to workers on many machines; what they make of them is written by the process that asked."""
