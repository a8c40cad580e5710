"""Labelled text, made from a seed, on which the token classifier is trained; nothing here is loaded at run time.

Needs the ``training`` extra (Faker, names, num2words, unidecode). Every person, number and address in it is invented.
"""
