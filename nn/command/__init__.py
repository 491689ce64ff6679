"""`python3 -m nn`: train on a data set or a table, save, load, predict, report. Nothing imports it."""
