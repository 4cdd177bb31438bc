"""Tables of a data set: which columns they have, how each file format is read, checked, written.

The way of a row: `formats` split a file into raw batches, `parse` turns text into values and finds
what is wrong, `stream` puts rows that are wrong aside (`rejects`) and counts (`summary`), `records`
makes entities of the rest. `schema` says what a table is; `writer` is the way back.
"""
