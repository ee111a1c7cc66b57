"""Pictures with descriptions, for models that draw: a table as a stream, in one order for any number of workers."""
