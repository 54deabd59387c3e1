"""Numbered changes of the tables, oldest first; run by ``Database.upgrade``."""
