"""What the recipes of selector and policy share: ratings in, a folder with its figures and card out."""
