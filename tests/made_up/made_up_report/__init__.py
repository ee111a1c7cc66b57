"""A report system of another party: as small as it can be, and all that a system of a package of its own needs."""
