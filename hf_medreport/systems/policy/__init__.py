"""The policy, which scores how well a picture fits its prompt: what only it needs."""
