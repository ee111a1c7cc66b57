"""What people said of pictures: ratings, pairs of them, and how far raters agree."""
