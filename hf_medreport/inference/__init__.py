"""From files to reports: loading a model, reading films, writing reports and pictures."""
