"""One module a public source: its raw download -> checked data to train on."""
