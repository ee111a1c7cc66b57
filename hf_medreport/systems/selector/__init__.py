"""The selector, which scores how good a picture is: what only it needs."""
