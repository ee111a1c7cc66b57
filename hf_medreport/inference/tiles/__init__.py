"""A cohort of slides -> tiles -> features."""
