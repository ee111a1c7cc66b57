"""Multi-task chest X-ray: frontal and lateral film -> reconstructions, a classification and a report."""
