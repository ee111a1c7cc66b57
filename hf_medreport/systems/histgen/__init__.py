"""HistGen: the features of a whole slide -> its pathology report."""
