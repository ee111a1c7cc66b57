"""Scores of generators: do their pictures show what was asked for, are they like drawn ones, are they copies?"""
