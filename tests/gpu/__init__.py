"""What needs a GPU: run by `make test-gpu`."""
